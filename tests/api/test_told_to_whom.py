"""What an answer gives away: names of neighbours, hashes of what one may not read, how things stand that others decide;
and that what ended is over at the next request."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from api_server import DATA, SETUP, Prepared, Served, wire

from doubleloop.base import actors, errors
from doubleloop.catalog import queries as catalog
from doubleloop.data import commands as data
from doubleloop.db.context import Contexts
from doubleloop.identity import commands as identity
from doubleloop.identity.model import Group, Persona
from doubleloop.jobs import finishing, preparing, running
from doubleloop.jobs.model import Status
from doubleloop.releases import tables
from doubleloop.storage import ports as storage


def bearer(served: Served, secret: str) -> httpx.Client:
    return httpx.Client(base_url=served.url, headers={"authorization": f"Bearer {secret}"}, timeout=30)


def test_the_token_of_a_jobs_code_is_refused_from_the_moment_that_its_step_ended(
    served: Served, prepared: Prepared
) -> None:
    name = prepared.places["step"]
    with served.contexts.read(SETUP) as ctx:
        job, step = preparing.find(ctx, "thing-1", name)
    secret = running._token(served.contexts, job, step)
    with bearer(served, secret) as code:
        assert code.get("/api/v1/workspaces/dev/data").status_code == 200
        assert code.get("/api/v1/workspaces/prod/data").status_code == 403
        assert code.post("/api/v1/workspaces/dev/jobs", json={}).status_code == 403  # no job starts another
        assert code.post("/api/v1/tokens", json={"name": "more"}).status_code == 403
        finishing.end(served.contexts, "thing-1", name, step.attempt, Status.COMPLETED, "", outputs={}, exit_code=0)
        for path in ("/api/v1/me", "/api/v1/workspaces/dev/data", "/mlflow/w/dev/api/2.0/mlflow/experiments/search"):
            assert code.get(path).status_code == 401, path


MISSING = (
    ("data", "data.read", "data/nowhere/versions/1"),
    ("datastore", "storage.read", "datastores/nowhere"),
    ("endpoint", "endpoint.read", "online-endpoints/nowhere"),
    ("endpoint", "endpoint.read", "batch-endpoints/nowhere"),
    ("environment", "environment.read", "environments/nowhere/versions/1"),
    ("monitor", "monitor.read", "monitors/nowhere"),
    ("rule", "rule.read", "rules/nowhere"),
    ("schedule", "schedule.read", "schedules/nowhere"),
)


def test_what_is_not_there_is_told_with_the_names_that_one_may_see_and_no_others(served: Served) -> None:
    """A right to the one thing that is not there is none to its neighbours."""
    for kind, action, path in MISSING:
        limited = {"name": kind, "workspace": "dev", "resource": f"{kind}/nowhere", "actions": [action]}
        secret = served.as_("admin").post("/api/v1/tokens", json=limited).json()["token"]
        whole = served.as_("admin").get(f"/api/v1/workspaces/dev/{path}")
        with bearer(served, secret) as other:
            alone = other.get(f"/api/v1/workspaces/dev/{path}")
        assert (whole.status_code, alone.status_code) == (404, 404), (path, whole.text, alone.text)
        neighbour = "workspaceblobstore" if kind == "datastore" else "thing"
        assert neighbour in whole.json()["error"]["cure"], path
        assert neighbour not in alone.json()["error"].get("cure", ""), (path, alone.text)
    told = served.as_("nobody").get("/api/v1/workspaces/nowhere/jobs").json()["error"]
    assert "dev" not in told["cure"] and "prod" not in told["cure"]
    assert "dev" in served.as_("admin").get("/api/v1/workspaces/nowhere/jobs").json()["error"]["cure"]


def test_whether_a_release_waits_is_told_to_those_who_could_be_asked(served: Served) -> None:
    """ada may read it and not decide, grace could decide, nobody may do neither."""
    for verb in ("approve", "reject"):
        path, body = f"/api/v1/releases/thing-1/{verb}", {"comment": "because", "evidence_digest": "0" * 64}
        told = {user: served.as_(user).post(path, json=body).status_code for user in ("ada", "grace", "nobody")}
        assert told == {"ada": 403, "grace": 409, "nobody": 403}, verb
        assert served.as_("ada").post(path.replace("thing-1", "nowhere"), json=body).status_code == 404
    broken = {**body, "comment": "the house burns down", "break_glass": True}
    assert served.as_("ada").post("/api/v1/releases/thing-1/approve", json=broken).status_code == 403
    assert served.as_("admin").post("/api/v1/releases/thing-1/approve", json=broken).status_code == 409


def test_no_hash_of_data_is_told_to_who_may_not_read_it(served: Served, prepared: Prepared) -> None:
    """Content is fetched by its hash: evidence, bundles and explanations name data by a fingerprint of that."""
    secret = b"name,salary\neve,1\n"
    with served.contexts.write(actors.Actor("admin"), "prod") as ctx:
        reference = f"blob:sha256:{ctx.port(storage.Blobs).put_bytes(secret)}"
        hidden = data.add_version(ctx, "salaries", reference, "uri_file")
        outsider = Group("outside", Persona.DATA_SCIENTIST, ("nobody",), ("dev",))
        identity.put_group(ctx.acting_as(SETUP), outsider)
    table = tables.read(served.contexts, "prod", "azureml:salaries:1")
    assert table.named["id"] == hidden.id
    with served.contexts.write(SETUP, "registry") as ctx:
        version = catalog.resolve(ctx, "model", "thing:1")
        from doubleloop.catalog import commands as cataloguing

        cataloguing.link(ctx, hidden.id, "input", version.id)
    trained = served.as_("nobody").get("/api/v1/trace/thing:1")
    assert trained.status_code == 200, trained.text
    (told,) = [each for each in trained.json()["data"] if each["id"] == hidden.id]
    assert told["digest"] is None and told["reference"] is None and told["fingerprint"] == table.named["digest"]
    bundle = served.as_("nobody").get(f"/api/v1/bundles/{prepared.places['digest']}").text
    for text in (trained.text, bundle, str(table.named)):
        assert hidden.digest not in text
    (seen,) = [
        each for each in served.as_("admin").get("/api/v1/trace/thing:1").json()["data"] if each["id"] == hidden.id
    ]
    assert seen["digest"] == hidden.digest and seen["reference"] == reference
    # Nor whether content is here, to who has nothing to send.
    asked = {"sha256": [hidden.digest]}
    assert served.as_("linus").post("/api/v1/blobs/missing", json=asked).json() == {"missing": []}
    reader = served.as_("admin").post("/api/v1/tokens", json={"name": "r", "actions": ["read-only"]}).json()["token"]
    with bearer(served, reader) as looking:
        assert looking.post("/api/v1/blobs/missing", json=asked).status_code == 403


JOB = """
$schema: x/commandJob.schema.json
command: echo hello
environment: {image: python}
"""


def test_reading_a_jobs_log_stands_on_record_in_production_and_once(served: Served) -> None:
    admin = served.as_("admin")
    for place in ("dev", "prod"):
        made = admin.post(f"/api/v1/workspaces/{place}/jobs", json={"document": wire(JOB), "id": f"in-{place}"})
        assert made.status_code == 200, made.text
        name = admin.get(f"/api/v1/workspaces/{place}/jobs/in-{place}/steps").json()["items"][0]["name"]
        for offset in (0, 0, 5):
            asked = f"/api/v1/workspaces/{place}/jobs/in-{place}/steps/{name}/log?offset={offset}"
            assert admin.get(asked).is_success, asked
    found = admin.get("/api/v1/audit?type=log.read").json()["items"]
    assert [(each["subject"], each["workspace"], each["actor"]) for each in found] == [
        (f"step:in-prod/{name}", "prod", "admin")
    ]


@pytest.mark.parametrize("place", ["thing.csv", "../thing.csv", "a/../../b", "/etc/passwd", "a\\..\\b"])
def test_a_path_in_a_data_reference_stays_in_its_folder(served: Served, prepared: Prepared, place: str) -> None:
    sound = f"tree:sha256:{prepared.places['tree']}/thing.csv"
    text = json.dumps(wire(DATA.replace("thing", "walk") % sound))
    document: dict[str, Any] = json.loads(text.replace("/thing.csv", f"/{place}".replace("\\", "\\\\")))
    answer = served.as_("ada").post("/api/v1/workspaces/dev/data", json={"document": document})
    assert answer.status_code == (200 if place == "thing.csv" else answer.status_code)
    if place != "thing.csv":
        assert answer.status_code in (400, 404), answer.text
        assert answer.json()["error"]["code"] in {errors.InvalidInput.code, errors.NotFound.code}


def test_a_secret_that_was_altered_ran_out_or_was_logged_out_is_nobodys(served: Served) -> None:
    past = Contexts(served.contexts.engine, served.contexts.ports, lambda: served.contexts.now() - timedelta(hours=2))
    with past.write(actors.Actor("ada")) as ctx:
        _, short = identity.create_token(ctx, "ada", "short", lifetime=timedelta(hours=1))
        identity.set_password(ctx.acting_as(SETUP), "ada", "correct horse battery")
    whole = served.tokens["ada"]
    altered = [
        whole[:-1] + ("A" if whole[-1] != "A" else "B"),
        whole.swapcase(),
        whole[:-1],
        f"{whole}A",
        f" {whole[3:]}",
    ]
    login = httpx.post(f"{served.url}/api/v1/login", json={"user": "ada", "password": "correct horse battery"})
    session = login.json()["token"]
    with bearer(served, session) as over:
        assert over.get("/api/v1/me").json()["user"] == "ada"
        assert over.post("/api/v1/logout").status_code == 200
    for secret in (short, session, *altered):
        with bearer(served, secret) as stranger:
            assert stranger.get("/api/v1/me").status_code == 401
            assert stranger.get("/mlflow/w/dev/api/2.0/mlflow/experiments/search").status_code == 401
    assert served.as_("ada").get("/api/v1/me").status_code == 200
