"""What is released to production goes as one signed bundle; production reads nothing of a preproduction workspace."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from doubleloop.bundles import queries as bundles
from doubleloop.bundles import store
from doubleloop.console import overview, requests
from doubleloop.endpoints import store as endpoints
from doubleloop.gates import store as gate_store
from doubleloop.identity.actions import Action
from doubleloop.releases import queries, trace
from doubleloop.releases import store as releases
from doubleloop.setups import holdings
from doubleloop.storage import ports as storage
from doubleloop.workspaces import store as workspaces


def completed(site: Any) -> Any:
    site.register("1")
    site.define()
    release = site.through(site.start("1").id)
    assert (release.status, release.reasons) == ("completed", ())
    return release


def test_a_release_to_production_is_bundled_before_it_is_deployed_and_again_once_it_serves(site: Any) -> None:
    release = completed(site)
    told = [fact.type for fact in site.facts(release.id)]
    assert told.index("release.approved") < told.index("release.bundled") < told.index("release.rolling_out")
    with site.house.read("service:releases", None) as ctx:
        made = store.select(ctx, release=release.id)
        manifests = [bundles.manifest(ctx, each) for each in made]
        for each in made:
            bundles.verify(ctx, each)
    after, before = manifests
    assert (made[0].version, made[0].workspace) == (release.candidate, "prod")
    assert [item["check"] for item in before["evidence"]] == [
        "0.0:scan", "0.1:data_quality", "0.2:model_quality", "0.3:endpoint_performance",
    ]  # fmt: skip
    assert before["approvals"][0]["decisions"][0]["actor"] == "grace"
    assert before["approvals"][0]["decisions"][0]["evidence_digest"] == before["approvals"][0]["evidence_digest"]
    assert "release.promoted" not in {fact["type"] for fact in before["facts"]}
    assert "release.promoted" in {fact["type"] for fact in after["facts"]}
    assert before["environment"] == after["environment"] == site.lock.to_dict()


def test_production_runs_the_very_packages_that_were_tested(site: Any) -> None:
    release = completed(site)
    with site.house.read("service:releases", "prod") as ctx:
        staged, live = (endpoints.deployment(ctx, stage.deployment) for stage in release.stages)
        facts = [fact.data for fact in site.facts(release.id, "release.bundled")]
    assert staged is not None and live is not None
    assert live.environment_lock == staged.environment_lock == site.lock.digest
    assert len(facts) == 2


def test_a_release_that_stays_in_preproduction_makes_no_bundle(site: Any) -> None:
    site.register("1")
    site.define()
    release = site.start("1")
    site.measuring.answers["model_quality"] = lambda question: pytest.fail("not asked")
    site.training = "fail"
    assert site.through(release.id).status == "failed"
    with site.house.read("service:releases", None) as ctx:
        assert store.select(ctx, release=release.id) == []


def test_altered_evidence_is_not_bundled_and_nothing_is_deployed(site: Any) -> None:
    site.register("1")
    site.define()
    release = site.start("1")

    async def tamper() -> None:
        await site.until(release.id, "waiting")
        site.decide(release.id)
        with site.house.write("service:releases", None) as ctx:
            table = gate_store.EVIDENCE
            where = sa.and_(table.c.subject == release.subject, table.c.type == "model_quality")
            ctx.tx.execute(table.update().where(where).values(body=json.dumps({"rmse": 0})))

    site.run(tamper)
    ended = site.get(release.id)
    assert ended.status == "failed"
    assert "the evidence was changed (0.2:model_quality)" in ended.reasons[0]
    assert ended.stages[1].deployment == ""


def test_a_bundle_whose_manifest_was_changed_is_not_deployed(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site.register("1")
    site.define()
    blobs = site.contexts.port(storage.Blobs)
    put = blobs.put_bytes

    def put_and_spoil(content: bytes) -> str:
        sha256 = str(put(content))
        if b"doubleloop/bundle/1" in content:
            place = blobs.path(sha256)
            place.chmod(0o644)
            place.write_bytes(content.replace(b'"grace"', b'"eve"'))
        return sha256

    monkeypatch.setattr(blobs, "put_bytes", put_and_spoil)
    release = site.through(site.start("1").id)
    assert release.status == "failed"
    assert "changed where it is stored" in release.reasons[0]
    assert release.stages[1].deployment == ""


def test_a_release_is_still_told_when_the_workspaces_it_came_through_are_gone(site: Any) -> None:
    release = completed(site)
    with site.house.write("service:setup", None) as ctx:
        # What was decided is kept.
        past = sa.select(releases.STAGES).where(releases.STAGES.c.workspace == "staging")
        decided = dict(ctx.tx.execute(past).one()._mapping)
        for name in ("dev", "staging"):
            holdings.remove(ctx, name)
            workspaces.remove(ctx, name)
        ctx.tx.execute(releases.STAGES.insert().values(decided))
    told = trace.explain(site.contexts, site.house.actor("grace"), release.id)
    assert (told["release"]["status"], told["deployment"]["workspace"]) == ("completed", "prod")
    assert told["checks"] and all(each["intact"] for each in told["checks"])
    with site.house.read("grace", None) as ctx:
        assert [each.id for each in queries.list(ctx).items] == [release.id]
        assert queries.definitions(ctx) == () and queries.waiting(ctx) == ()
        assert requests.places(ctx, Action.ENDPOINT_READ) == ["prod"]
        assert [life.hidden for life in overview.lives(ctx)] == [["staging"]]
