"""What the gateway found out about a plan becomes a fact, once."""

from __future__ import annotations

from typing import Any

from doubleloop.endpoints import watching
from doubleloop.events import queries as facts
from doubleloop.gateway import protocol
from doubleloop.releases import stages


def test_a_plan_that_disagreed_is_a_fact_once(site: Any) -> None:
    site.define()
    site.register("1")
    release = site.through(site.start("1").id)
    assert release.status == "completed", release.reasons
    id_ = release.stage.deployment
    said = {"why": "row 0: 2.0, not 1.0", "difference": 1.0, "at": "2026-01-01T00:00:00+00:00"}

    def status(**plan: Any) -> protocol.Status:
        seen = protocol.DeploymentStatus(id_, "ready", description={"plan": plan})
        return protocol.Status(1, True, endpoints={"prod/x": protocol.EndpointStatus(deployments={"blue": seen})})

    site.serving.status = lambda: status(used=True, why="")
    assert watching.note(site.contexts) == []
    site.serving.status = lambda: status(used=False, why=said["why"], disagreed=said)
    assert watching.note(site.contexts) == [id_]
    assert watching.note(site.contexts) == []
    with site.contexts.read(stages.ACTOR) as ctx:
        (told,) = facts.facts(ctx, types=[watching.DISAGREED])
    assert told.subject == f"deployment:{id_}" and told.workspace == release.workspace
    assert said.items() <= told.data.items() and told.data["endpoint"] == release.stage.endpoint
