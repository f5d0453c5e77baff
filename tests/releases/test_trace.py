"""A prediction is explained to the end."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from doubleloop.base import errors
from doubleloop.catalog import commands as catalog
from doubleloop.events import queries as events
from doubleloop.gateway import paths
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.releases import trace


def explain(site: Any, id_: str, user: str = "grace") -> dict[str, Any]:
    told = trace.explain(site.contexts, site.house.actor(user), id_)
    assert json.loads(json.dumps(told)) == told  # plain JSON
    return told


def log_request(site: Any, deployment_id: str, request: str = "req-1") -> None:
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    rows = pl.DataFrame(
        {
            "request_id": [request, "another"], "row": [0, 0], "time": [moment, moment],
            "received_at": [moment, moment], "deployment": ["blue-r1", "blue-r1"],
            "deployment_id": [deployment_id, deployment_id], "status": [200, 200], "latency_ms": [4.25, 5.0],
            "in.x": [1.5, 2.5], "out.prediction": [42.0, 43.0],
        }
    )  # fmt: skip
    file = paths.deployment_log(site.house.home, "prod", "bikes-live", "blue-r1") / "2026/03/01/12/part-1.parquet"
    file.parent.mkdir(parents=True)
    rows.write_parquet(file)


def released(site: Any) -> Any:
    version = site.register("1")
    with site.contexts.write(site.house.actor("service:jobs"), "registry") as ctx:
        data = catalog.add(ctx, "data", "train", "1", "d" * 64, {"type": "uri_file", "reference": "blob:sha256:x"})
        catalog.link(ctx, data.id, "input", "step:job-x/train")
        catalog.link(ctx, "step:job-x/train", "registered", version.id.replace(":1", ":2"))
    site.define()
    return site.through(site.start("1").id)


def test_a_request_is_explained_from_its_answer_to_who_approved_the_model(site: Any) -> None:
    release = released(site)
    log_request(site, release.stages[1].deployment)
    told = explain(site, "req-1")
    assert told["kind"] == "request"
    assert (told["request"]["inputs"], told["request"]["outputs"]) == ({"x": 1.5}, {"prediction": 42.0})
    assert told["deployment"]["name"] == "blue-r1"
    assert told["deployment"]["environment_lock"] == site.lock.digest
    assert (told["model"]["version"], told["model"]["job"]) == ("2", f"{release.id}-train0")
    assert told["job"]["steps"][0]["command"] == "python train.py"
    assert [each["digest"] for each in told["data"]] == ["d" * 64]
    assert [check["outcome"] for check in told["checks"]] == ["passed"] * 4
    assert all(check["intact"] and len(check["hash"]) == 64 for check in told["checks"])
    assert told["approvals"][0]["decisions"][0]["actor"] == "grace"
    with site.house.read("grace", None) as ctx:
        chain = {fact.seq: fact.hash for fact in events.facts(ctx)}
        assert events.verify(ctx).whole
    assert {each["seq"]: each["hash"] for each in told["audit"]}.items() <= chain.items()
    assert "approval.given" in {each["type"] for each in told["audit"]}


def test_the_same_story_is_told_from_release_deployment_and_model(site: Any) -> None:
    release = released(site)
    stories = [
        explain(site, each)
        for each in (release.id, "1", release.stages[1].deployment, "bikes:2", "model:registry/bikes:2")
    ]
    assert [each["kind"] for each in stories] == ["release", "release", "deployment", "model", "model"]
    for each in stories:
        assert each["release"]["id"] == release.id
        assert each["deployment"]["id"] == release.stages[1].deployment
        assert each["model"]["id"] == "model:registry/bikes:2"
        assert len(each["checks"]) == 4


def test_a_decision_a_job_a_deployments_name_and_data_are_explained_too(site: Any) -> None:
    release = released(site)
    approval = explain(site, release.stages[1].approval)
    assert (approval["kind"], approval["release"]["id"]) == ("decision", release.id)
    assert approval["approvals"][0]["decisions"][0]["actor"] == "grace"
    job = explain(site, f"{release.id}-train0")
    assert (job["kind"], job["job"]["id"], job["model"]["version"]) == ("job", f"{release.id}-train0", "2")
    for name in ("blue-r1", "bikes-live/blue-r1", "prod/bikes-live/blue-r1"):
        told = explain(site, name)
        assert (told["kind"], told["deployment"]["id"]) == ("deployment", release.stages[1].deployment)
    for name in ("train:1", "data:registry/train:1", "registry/train:1", "azureml:train:1"):
        data = explain(site, name)
        assert (data["kind"], data["data"][0]["id"]) == ("data", "data:registry/train:1")
        assert {"step:job-x/train", "model:registry/bikes:2", release.subject} <= set(data["led_to"])
    assert "led to   model:registry/bikes:2" in trace.render_text(explain(site, "train:1"))


def test_the_story_for_a_terminal_names_what_matters(site: Any) -> None:
    release = released(site)
    log_request(site, release.stages[1].deployment)
    text = trace.render_text(explain(site, "req-1"))
    for words in (
        "Request req-1", "prediction=42.0", "Deployment blue-r1 of prod/bikes-live", "Model bikes:2",
        f"Job {release.id}-train0 in staging", "Data registry/train:1  dddddddddddd", "0.2:model_quality passed",
        "approve by grace", "looks good", "Sealed log:",
    ):  # fmt: skip
        assert words in text


def test_evidence_that_was_changed_is_told(site: Any) -> None:
    release = released(site)
    with site.contexts.write(site.house.actor("service:setup")) as ctx:
        ctx.tx.exec_driver_sql("update gate_evidence set reasons = '[]' where type = 'scan'")
    told = explain(site, release.id)
    assert [check["intact"] for check in told["checks"]] == [False, True, True, True]
    assert "CHANGED AFTERWARDS" in trace.render_text(told)


def test_what_nobody_knows_is_not_found(site: Any) -> None:
    with pytest.raises(errors.NotFound, match="Nothing is known under 'req-9'"):
        explain(site, "req-9")


def test_who_sees_a_part_is_told_that_part(site: Any) -> None:
    """Rights end at workspaces, and not everybody who reads releases reads endpoints or jobs."""
    release = released(site)
    log_request(site, release.stages[1].deployment)
    groups = [
        identities.Group("project_leads", identities.Persona.PROJECT_LEAD, ("grace",), ("prod",)),
        identities.Group("owners", identities.Persona.PRODUCT_OWNER, ("olga",), ("staging", "prod")),
    ]
    with site.house.write("service:setup", None) as ctx:
        identity.create_user(ctx, "olga")
        for group in groups:
            identity.put_group(ctx, group)
    told = explain(site, "req-1")
    assert (told["request"]["request_id"], told["release"]["id"], told["job"]) == ("req-1", release.id, None)
    told = explain(site, release.id, "olga")
    assert (told["release"]["id"], told["deployment"], len(told["checks"])) == (release.id, None, 4)
    assert told["approvals"][0]["decisions"][0]["actor"] == "grace"


def test_who_may_not_read_there_gets_no_story(site: Any) -> None:
    release = released(site)
    log_request(site, release.stages[1].deployment)
    group = identities.Group("stakeholders", identities.Persona.BUSINESS_STAKEHOLDER, ("eve",), ("prod",))
    with site.house.write("service:setup", None) as ctx:
        identity.put_group(ctx, identities.Group("business_stakeholders", group.persona, (), ()))
        identity.put_group(ctx, group)
    with pytest.raises(errors.NotPermitted):
        explain(site, release.id, "eve")
    with pytest.raises((errors.NotFound, errors.NotPermitted)):
        explain(site, "req-1", "eve")
