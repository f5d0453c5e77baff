"""An id of another workspace, asked for through one's own, is answered like one that is nowhere: on all routes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_server import SETUP, Prepared, Served, serve
from test_every_route import ROUTES, fill

from doubleloop import wiring
from doubleloop.identity import commands as identity
from doubleloop.identity import model
from doubleloop.settings.model import Settings

# Whoever holds one of these in a workspace may there do most of what there is.
PERSONAS = (
    model.Persona.DATA_SCIENTIST,
    model.Persona.PROJECT_LEAD,
    model.Persona.PLATFORM_SUPPORT,
    model.Persona.MODEL_END_USER,
)


@pytest.fixture(scope="module")
def insider(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """``mallory`` is everything in prod and nothing anywhere else; all there is, is in dev."""
    import shutil

    home = Path(shutil.copytree(prepared.home, tmp_path_factory.mktemp("insider") / "home"))
    contexts = wiring.contexts(Settings(home=home))
    tokens = dict(prepared.tokens)
    with contexts.write(SETUP) as ctx:
        identity.create_user(ctx, "mallory")
        for persona in PERSONAS:
            identity.put_group(ctx, model.Group(f"prod-{persona}", persona, ("mallory",), ("prod",)))
        tokens["mallory"] = identity.create_token(ctx, "mallory", "test")[1]
    contexts.engine.dispose()
    with serve(Settings(home=home), tokens) as made:
        yield made


NOWHERE = {"name": "nowhere", "id": "nowhere-1", "deployment": "nowhere", "step": "nowhere", "label": "nowhere",
           "version": "1", "blob": "0" * 64, "tree": "0" * 64, "digest": "0" * 64}  # fmt: skip
# In the registry, which all workspaces share.
SHARED = ("/models", "/environments/{name}")


def masked(body: bytes, places: dict[str, str]) -> Any:
    """An answer without the words that the question held."""
    text = body.decode()
    for value in sorted(set(places.values()) - {"1", "main"}, key=len, reverse=True):
        text = re.sub(rf"\b{re.escape(value)}\b", "X", text)
    return text


@pytest.mark.parametrize(
    ("method", "path"),
    [(method, route.path) for method, route in ROUTES if "{ws}" in route.path and route.path.count("{") > 1],
)
def test_through_ones_own_workspace_it_is_as_if_it_were_nowhere(
    insider: Served, prepared: Prepared, method: str, path: str
) -> None:
    if "/models/" in path:
        pytest.skip("models are in the registry, which every workspace shares")
    there = {**prepared.places, "ws": "prod"}
    nowhere = {**there, **NOWHERE}
    answers = []
    for places in (there, nowhere):
        status, _, body = insider.raw(
            method, fill(path, places), "mallory", b"{}" if method in ("POST", "PUT") else b"",
            content_type="application/json",
        )  # fmt: skip
        answers.append((status, masked(body, places)))
    assert answers[0] == answers[1]
    status = answers[0][0]
    if method in ("GET", "DELETE") and not path.endswith(("/versions", "/computes/{name}")):
        assert status in (403, 404), answers


@pytest.mark.parametrize(("method", "path"), [(m, r.path) for m, r in ROUTES if "{ws}" in r.path])
def test_the_workspace_of_others_is_closed_whatever_is_asked(
    insider: Served, prepared: Prepared, method: str, path: str
) -> None:
    for places in (prepared.places, {**prepared.places, **NOWHERE}):
        status, _, body = insider.raw(
            method, fill(path, places), "mallory", b"{", content_type="application/json",
        )  # fmt: skip
        assert status == 403, (method, path, body)


def test_what_is_not_below_a_workspace_shows_nothing_of_others(insider: Served, prepared: Prepared) -> None:
    """Lists are filtered; one thing of another workspace is refused or nowhere, and nothing is changed."""
    lists = {"/api/v1/releases", "/api/v1/approvals", "/api/v1/release-definitions", "/api/v1/workspaces"}
    for path in lists:
        found = insider.as_("mallory").get(path).json()["items"]
        assert "dev" not in {each.get("name") for each in found} | {each.get("workspace") for each in found}, path
        assert "thing-1" not in json.dumps(found), path
    for method, route in ROUTES:
        if "{ws}" in route.path or not re.search(
            r"/(releases|release-definitions|approvals|trace|explain)/", route.path
        ):
            continue
        target = fill(route.path, prepared.places)
        if target.endswith("/roles/explain"):
            continue
        status, _, body = insider.raw(method, target, "mallory", b"{}", content_type="application/json")
        assert status in (403, 404), (method, route.path, body)


REFERENCES = ["azureml:thing:1", "azureml:thing@newest", "azureml:thing"]


@pytest.mark.parametrize("reference", REFERENCES)
def test_documents_cannot_name_what_is_in_another_workspace(insider: Served, reference: str) -> None:
    from api_server import wire

    data = f"{{$schema: x/data.schema.json, name: copy, type: uri_file, path: '{reference}'}}"
    job = (
        "$schema: x/commandJob.schema.json\ncommand: cat ${{inputs.d}}\nenvironment: azureml:thing:1\n"
        f"inputs: {{d: {{type: uri_file, path: '{reference}'}}}}\n"
    )
    variable = (
        "$schema: x/commandJob.schema.json\ncommand: env\nenvironment: azureml:sklearn-1.5@latest\n"
        "environment_variables: {K: '${{secrets.thing}}'}\n"
    )
    output = (
        "$schema: x/commandJob.schema.json\ncommand: cat ${{inputs.d}}\nenvironment: azureml:thing:1\n"
        "inputs: {d: {type: uri_folder, path: 'azureml:thing-1:artifacts'}}\n"
    )
    for place, text in (("data", data), ("jobs", job), ("jobs", variable), ("jobs", output)):
        answer = insider.as_("mallory").post(f"/api/v1/workspaces/prod/{place}", json={"document": wire(text)})
        assert answer.status_code in (400, 403, 404), (text, answer.text)
