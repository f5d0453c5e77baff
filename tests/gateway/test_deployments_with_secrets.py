"""Secrets of deployments, from the file to a scorer of a real gateway: named, pinned, sealed, given, masked."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_harness import Gateway, wait_for

from doubleloop.base import actors, errors
from doubleloop.endpoints import commands, model, ports, serving, store, variables, workflows
from doubleloop.events import queries as events
from doubleloop.gateway import protocol, sealing
from doubleloop.secrets import ports as keys
from doubleloop.secrets.local import FileKeys
from doubleloop.specs import documents
from doubleloop.storage import ports as storage
from doubleloop.vault import commands as vault
from doubleloop.vault import fernet
from doubleloop.vault import ports as vault_ports

VALUE = "correct-horse-battery-staple"
ADA = actors.Actor("ada")
ENDPOINT = "{$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineEndpoint.schema.json, name: shop}"
SCRIPT = """
import hashlib, json, os, sys

def init():
    value = os.environ["PASSWORD"]
    for letter in value:
        os.write(1, letter.encode())
    print("\\n", value[:7], end="", file=sys.stderr, flush=True)
    print(value[7:], "is set; ä", flush=True)
    if os.environ.get("FAIL"):
        raise ValueError("refused: " + value)

def run(raw_data):
    value = os.environ["PASSWORD"]
    if json.loads(raw_data).get("raise"):
        raise RuntimeError("cannot log in with " + value)
    return {"sha256": hashlib.sha256(value.encode()).hexdigest(), "other": os.environ["OTHER"]}
"""


class Place:
    """A home with a vault, an endpoint and what the control plane writes for the gateway."""

    def __init__(self, house: Any, tmp_path: Path) -> None:
        self.house, self.contexts, self.home = house, house.contexts, house.home
        file = FileKeys(self.home / "secret.key")
        self.serving = serving.GatewayServing(self.home)
        house.ports |= {
            keys.Keys: file, ports.Serving: self.serving,
            vault_ports.Safe: fernet.SealedSafe(fernet.LocalKeys((), file.derive)),
        }  # fmt: skip
        self.code, self.model = tmp_path / "code", tmp_path / "store" / "model"
        for folder, name, text in ((self.code, "score.py", SCRIPT), (self.model, "weights.txt", "w")):
            folder.mkdir(parents=True)
            (folder / name).write_text(text)
        with house.write() as ctx:
            commands.put_endpoint(ctx, documents.parse(ENDPOINT, "endpoint.yml", self.home))
            self.key = commands.keys(ctx, "shop")[0]
        self.put()

    def put(self, value: str = VALUE, workspace: str = "dev") -> None:
        vault.put(self.contexts, ADA, workspace, "warehouse", value)

    def file(self, name: str, reference: str, **more: str) -> documents.Document:
        blobs = self.house.ports[storage.Blobs]
        tree = f"tree:sha256:{blobs.put_tree(self.model).sha256}"
        text = f"""
            $schema: https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json
            name: {name}
            endpoint_name: shop
            environment: azureml:base@latest
            code_configuration: {{code: ./code, scoring_script: score.py}}
            model: {{path: ./store/model}}
            environment_variables:
              OTHER: plain
              PASSWORD: "{reference}"
        """ + "".join(f"\n              {key}: '{value}'" for key, value in more.items())
        found = documents.parse(textwrap.dedent(text), "deployment.yml", self.code.parent)
        return documents.with_paths(found, {each.pointer: tree for each in documents.local_paths(found)})

    def create(self, name: str, reference: str = "${{secrets.warehouse}}", **more: str) -> model.Deployment:
        with self.house.write() as ctx:
            return commands.create_deployment(ctx, self.file(name, reference, **more))

    def ready(self, deployment: model.Deployment) -> None:
        """What the workflow does before it publishes, without building an environment."""
        files = {
            "model_dir": str(self.model), "kind": "script", "code_dir": str(self.code), "script": "score.py",
            "secrets": variables.pin(self.contexts, workflows.ACTOR, deployment),
        }  # fmt: skip
        with self.contexts.write(workflows.ACTOR, "dev") as ctx:
            store.switch_status(ctx, deployment, model.Status.READY, files=files, python=sys.executable)

    def traffic(self, name: str) -> None:
        with self.house.write() as ctx:
            commands.set_traffic(ctx, "shop", {name: 100})

    def publish(self) -> int:
        return workflows.publish(self.contexts)

    def wanted(self) -> dict[str, protocol.Deployment]:
        return dict(self.serving.published()["dev/shop"].deployments)

    def given(self) -> list[str]:
        with self.house.read("service:setup", None) as ctx:
            return [each.data["to"] for each in events.facts(ctx, types=["secret.given"])]

    def holding(self) -> list[str]:
        forms = (VALUE.encode(), base64.b64encode(VALUE.encode()).rstrip(b"="))
        found = []
        for each in self.home.rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # files come and go beside those that they replace
                if each.is_file() and not each.is_symlink() and any(form in each.read_bytes() for form in forms):
                    found.append(str(each))
        return found


@pytest.fixture
def place(house: Any, tmp_path: Path) -> Place:
    return Place(house, tmp_path)


@pytest.fixture
def gateway(place: Place) -> Iterator[Gateway]:
    started = Gateway(place.home, {"port": 0}).start()
    yield started
    started.stop()


def test_a_scorer_reads_its_secret_and_prints_it_masked(place: Place, gateway: Gateway) -> None:
    place.ready(place.create("blue"))
    place.traffic("blue")
    gateway.generation = place.publish()
    gateway.converged()
    answer = gateway.client().score("dev/shop", {}, key=place.key)
    assert answer.json == {"sha256": hashlib.sha256(VALUE.encode()).hexdigest(), "other": "plain"}
    broken = gateway.client().score("dev/shop", {"raise": True}, key=place.key)
    assert broken.status >= 500
    assert VALUE.encode() not in broken.body
    assert b"cannot log in with ***" in broken.body
    log = wait_for(lambda: "cannot log in" in (text := scorer_log(place)) and text, "the log of the error")
    assert "***" in log.splitlines()[0]
    assert "is set; ä" in log
    assert VALUE[:7] not in log.replace("***", "")
    gateway.admin().flush()
    assert place.holding() == []


def scorer_log(place: Place) -> str:
    return "".join(each.read_text() for each in (place.home / "serving").rglob("scorer.log"))


def test_a_gateway_started_again_gives_the_secret_and_nobody_is_asked(place: Place, gateway: Gateway) -> None:
    place.ready(place.create("blue"))
    place.traffic("blue")
    gateway.generation = place.publish()
    gateway.converged()
    before = place.given()
    gateway.stop()
    gateway.start()
    gateway.converged()
    assert gateway.client().score("dev/shop", {}, key=place.key).json["other"] == "plain"
    assert place.given() == before


def test_an_error_at_the_start_is_told_without_the_value(place: Place, gateway: Gateway) -> None:
    place.ready(place.create("blue", FAIL="1"))
    gateway.generation = place.publish()
    failed = wait_for(lambda: _failed(gateway), "the failure")
    assert "refused: ***" in failed.error
    assert VALUE not in str(gateway.status())
    assert place.holding() == []


def _failed(gateway: Gateway) -> Any:
    found = gateway.applied().endpoints["dev/shop"].deployments["blue"]
    return found if found.state == "failed" else None


def test_versions_are_pinned_and_publishing_again_changes_nothing(place: Place) -> None:
    blue = place.create("blue")
    place.ready(blue)
    generation = place.publish()
    first = place.wanted()["blue"]
    assert (first.secrets, first.environment_variables) == (
        {"PASSWORD": "${{secrets.warehouse@1}}"},
        {"OTHER": "plain"},
    )
    assert sealing.unseal(place.home, blue.id, "PASSWORD", first.sealed["PASSWORD"]) == VALUE
    place.put("another-value")
    assert place.publish() == generation
    assert place.given() == [f"deployment:{blue.id}"] * 2
    place.ready(place.create("green"))
    place.publish()
    assert place.wanted()["blue"] == first
    assert place.wanted()["green"].secrets == {"PASSWORD": "${{secrets.warehouse@2}}"}


def test_one_that_cannot_be_opened_is_left_out_and_the_others_are_served(place: Place) -> None:
    place.ready(place.create("blue"))
    place.publish()
    place.ready(place.create("green"))
    place.traffic("green")
    vault.delete(place.contexts, ADA, "dev", "warehouse")
    place.publish()
    assert list(place.wanted()) == ["blue"]
    assert place.serving.published()["dev/shop"].traffic == {}


@pytest.mark.parametrize(
    ("reference", "said"),
    [("${{secrets.nothing}}", "There is no secret nothing in dev"), ("x ${{secrets.warehouse}}", "the whole value")],
)
def test_a_reference_to_nothing_is_told_with_its_line(place: Place, reference: str, said: str) -> None:
    with pytest.raises(errors.DoubleloopError, match=said) as caught:
        place.create("blue", reference)
    assert caught.value.where is not None
    assert (caught.value.where.line, caught.value.where.path) == (10, "environment_variables.PASSWORD")


def test_a_secret_of_another_workspace_cannot_be_deployed(place: Place) -> None:
    place.put(workspace="staging")
    vault.delete(place.contexts, ADA, "dev", "warehouse")
    with pytest.raises(errors.NotFound, match="There is no secret warehouse in dev"):
        place.create("blue")


def test_what_is_sealed_opens_only_in_its_place_and_with_its_key(place: Place) -> None:
    sealed = sealing.seal(place.home, "d-1", "PASSWORD", VALUE)
    assert sealed == sealing.seal(place.home, "d-1", "PASSWORD", VALUE)
    assert sealing.unseal(place.home, "d-1", "PASSWORD", sealed) == VALUE
    changed = base64.b64encode(base64.b64decode(sealed)[:-1] + b"\0").decode()
    wrong: list[Callable[[], str]] = [
        lambda: sealing.unseal(place.home, "d-2", "PASSWORD", sealed),
        lambda: sealing.unseal(place.home, "d-1", "OTHER", sealed),
        lambda: sealing.unseal(place.home, "d-1", "PASSWORD", changed),
        lambda: sealing.unseal(place.home, "d-1", "PASSWORD", "not base64"),
    ]
    for each in wrong:
        with pytest.raises(errors.Failed, match="The secret in"):
            each()
    (place.home / "secret.key").write_bytes(b"another key of this home")
    with pytest.raises(errors.Failed):
        sealing.unseal(place.home, "d-1", "PASSWORD", sealed)
