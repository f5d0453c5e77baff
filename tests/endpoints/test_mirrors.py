"""Copies compared with what callers got; tokens; local endpoints; what only a container could answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from doubleloop.base import errors
from doubleloop.durable import store as outbox
from doubleloop.endpoints import commands, containers, mirrors, model, queries, store
from doubleloop.gateway import tokens
from doubleloop.secrets import local as secrets
from doubleloop.secrets import ports as secret_ports
from doubleloop.settings.model import Settings
from doubleloop.specs import documents

assert outbox is not None


def rows(deployment: str, outputs: list[Any], mirrored: bool, status: int = 200, ms: float = 1.0) -> pl.DataFrame:
    count = len(outputs)
    shared = {"deployment": deployment, "status": status, "latency_ms": ms, "mirrored": mirrored, "row": 0}
    return pl.DataFrame({
        "request_id": [f"r-{number}" for number in range(count)], "out.prediction": outputs,
        **{name: [value] * count for name, value in shared.items()},
    })  # fmt: skip


def test_copies_are_compared_row_by_row_and_numbers_by_what_lies_between() -> None:
    served = rows("blue", [1.0, 2.0, 3.0], False)
    found = mirrors.compare(served, rows("green", [1.0, 2.0 + 1e-9, 3.5], True, ms=3.0))["green"]
    assert (found.requests, found.rows, found.same, found.different, found.failed) == (3, 3, 2, 1, 0)
    assert found.largest_difference == pytest.approx(0.5)
    assert (found.served_ms, found.mirrored_ms) == (1.0, 3.0)
    assert found.examples[0] == {
        "request_id": "r-2", "row": 0, "output": "prediction", "served": 3.0, "mirrored": 3.5,
    }  # fmt: skip
    text = mirrors.compare(rows("blue", ["a", "b"], False), rows("green", ["a", "c"], True))["green"]
    assert (text.same, text.different, text.largest_difference) == (1, 1, None)
    failed = mirrors.compare(served, rows("green", [None, None], True, status=500))["green"]
    assert (failed.rows, failed.failed) == (0, 2)
    assert mirrors.compare(served, served.clear()) == {}


def document(text: str, kind: str) -> documents.Document:
    return documents.parse(text, f"{kind}.yml", Path("/nowhere"), kind=kind)


@pytest.fixture
def placed(house: Any, tmp_path: Path) -> Any:
    house.ports[secret_ports.Keys] = secrets.FileKeys(tmp_path / "secret.key")
    with house.write("grace") as ctx:
        commands.put_endpoint(ctx, document("{name: place, auth_mode: aml_token}", "online_endpoint"))
    return house


DEPLOYMENT = """
name: blue
endpoint_name: place
model: {path: "tree:sha256:%s"}
instance_count: 1
environment: {image: "mcr.microsoft.com/azureml/minimal-py312-inference:latest"}
""" % ("a" * 64)


def test_an_endpoint_of_tokens_gives_one_to_who_may_have_it_until_its_key_is_new(placed: Any) -> None:
    with placed.read("grace") as ctx:
        found = commands.credentials(ctx, "place")
        key = commands.token_key(ctx, queries.get(ctx, "place"))
        now = ctx.now.timestamp()
    assert tokens.check(found["accessToken"], key, now) == found["expiryTimeUtc"]
    with placed.write("grace") as ctx:
        commands.regenerate_key(ctx, "place", "primary")
        renewed = commands.token_key(ctx, queries.get(ctx, "place"))
    with pytest.raises(errors.NotAuthenticated, match="not one of this endpoint"):
        tokens.check(found["accessToken"], renewed, now)
    with pytest.raises(errors.NotAuthenticated, match="expired"):
        tokens.check(found["accessToken"], key, found["expiryTimeUtc"])
    with placed.read("eve") as ctx, pytest.raises(errors.NotPermitted):
        commands.credentials(ctx, "place")


def test_a_local_endpoint_asks_for_no_key_only_where_nobody_else_reaches_it(placed: Any) -> None:
    file = document("{name: here}", "online_endpoint")
    with placed.write("grace") as ctx:
        assert commands.put_endpoint(ctx, file, local=True).auth_mode == model.OPEN
        made = commands.create_deployment(ctx, document(DEPLOYMENT.replace("place", "here"), "online_deployment"))
        assert store.deployment(ctx, made.id).all_traffic
    placed.ports[Settings] = Settings(home=placed.home, host="0.0.0.0")
    with placed.write("grace") as ctx, pytest.raises(errors.Conflict, match=r"listens on 0\.0\.0\.0"):
        commands.put_endpoint(ctx, document("{name: there}", "online_endpoint"), local=True)


ROUTES = "inference_config: {scoring_route: {port: 5001, path: /score}}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"environment: {{image: 'docker.io/tensorflow/serving:latest', {ROUTES}}}", "brings its own server"),
        (
            f"environment: {{image: 'x/plumber:1', {ROUTES}}}\ncode_configuration: {{code: 'tree:sha256:{'a' * 64}', "
            "scoring_script: s.py}", "brings its own server",
        ),
        ("model: {path: m, type: triton_model}", "Triton models"),
        (f"environment: {{image: 'x/any:1', conda_file: {{dependencies: [python]}}, {ROUTES}}}\ncode_configuration: "
         f"{{code: 'tree:sha256:{'a' * 64}', scoring_script: s.py}}", None),
        ("environment: {image: 'x/any:1'}", None),
    ],
)  # fmt: skip
def test_what_only_a_container_could_answer_is_refused_with_the_line(text: str, words: str | None) -> None:
    file = documents.from_model(
        "online_deployment", {"name": "d", "endpoint_name": "e", **_plain(text)}
    )  # fmt: skip
    if words is None:
        containers.check(file)
        return
    with pytest.raises(errors.NotSupported, match=words) as caught:
        containers.check(file)
    assert caught.value.where is not None
    assert caught.value.cure


def _plain(text: str) -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = yaml.safe_load(text)
    conda = found.get("environment", {}).get("conda_file")
    if conda:
        found["environment"]["conda_file"] = {"$file": "conda.yml", "text": yaml.safe_dump(conda)}
    return found
