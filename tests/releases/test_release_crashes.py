"""What a crash, or a part that is away for a while, must not change about the end of a release."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from doubleloop.base import actors, errors
from doubleloop.durable import commands as durable
from doubleloop.durable import fake as durable_fake
from doubleloop.releases import checking, fake, retraining, running, unfinished
from doubleloop.settings.model import Settings
from doubleloop.tracking import fake as tracking_fake
from doubleloop.tracking import ports as tracking

# A second release, from its start to its end.
TOLD = [
    "release.started", "release.stage_entered", "release.candidate", "release.evidence", "release.evidence",
    "release.evidence", "release.evidence", "release.judged", "release.stage_entered", "approval.opened",
    "release.waiting", "approval.given", "approval.closed", "release.approved", "release.bundled",
    "release.rolling_out",
    "release.traffic", "release.baked", "release.traffic", "release.baked", "release.traffic", "release.baked",
    "release.promoted", "release.stage_served", "release.bundled", "release.completed",
]  # fmt: skip


class Crash(BaseException):
    """Nothing in the code under test may catch this: it stands for the end of the process."""


def through(site: Any, version: str) -> Any:
    return site.through(site.start(version).id)


def test_a_candidate_that_is_just_being_started_again_is_looked_at_later(site: Any) -> None:
    """A gateway, or a scorer, that was killed during the bake comes back, and the candidate is judged then."""
    site.register("1")
    site.define()
    through(site, "1")
    site.register("3")
    calm = site.serving.status
    looks: list[str] = []

    def status() -> Any:
        if site.traffic().get("blue-r2", 0) == 50 and len(looks) < 5:
            looks.append("starting")
            site.answers("blue-r2", state="starting")
        elif looks:
            site.answers("blue-r2", state="ready")
        return calm()

    site.answers("blue-r2")
    site.serving.status = status
    second = through(site, "3")
    assert len(looks) == 5
    assert (second.status, second.reasons) == ("completed", ())


def test_a_candidate_that_never_comes_back_goes_back(site: Any) -> None:
    site.register("1")
    site.define()
    through(site, "1")
    site.register("3")
    site.answers("blue-r2", state="starting")
    second = through(site, "3")
    assert second.status == "rolled_back"
    assert "did not answer, so the candidate could not be judged" in second.reasons[0]
    assert site.traffic() == {"blue-r1": 100}


class Away(tracking_fake.MemoryTracking):
    """A registry that answers only after some tries; then it knows of a version that nobody noted."""

    def __init__(self, tries: int, then: Any) -> None:
        super().__init__()
        self.tries, self.then = tries, then

    def registered(self, since_ms: int = 0) -> list[Any]:
        self.tries -= 1
        if self.tries >= 0:
            raise errors.Unavailable("MLflow's server does not answer")
        self.then()
        return []


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also waits for jobs run out, after which the release looks again."""
    waited = durable_fake.EagerFlow.wait

    async def wait(self: Any, topic: str, timeout: float) -> Any:
        return None if timeout == 5.0 else await waited(self, topic, timeout)

    monkeypatch.setattr(durable_fake.EagerFlow, "wait", wait)


def test_a_registry_that_is_away_at_the_end_of_the_training_is_asked_again(site: Any, short_waits: None) -> None:
    site.training = "silent"  # the word of the registration was lost, and the registry does not answer
    registry = Away(3, lambda: site.register("2", by="service:releases", job="r-train0"))
    site.contexts.ports[tracking.Tracking] = registry
    site.register("1")
    site.define()
    release = site.through(site.start("1", id="r").id)
    assert registry.tries < 0
    assert (release.status, release.candidate) == ("completed", "2")


def test_but_not_for_ever(site: Any, short_waits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retraining, "REGISTRY_PATIENCE", timedelta(0))
    site.training = "silent"
    site.contexts.ports[tracking.Tracking] = Away(99, lambda: None)
    site.register("1")
    site.define()
    release = site.through(site.start("1", id="r").id)
    assert release.status == "failed"
    assert "what job r-train0 registered cannot be told: MLflow's server does not answer" in release.reasons[0]


def test_what_a_check_measured_is_kept_until_its_evidence_lies_there(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of a check's run are read again by the repetition of a step that was cut off before the deposit."""
    site.register("1")
    site.define()
    deposit = checking._deposit
    folders: list[list[str]] = []
    cut: set[str] = set()

    def measure(contexts: Any, question: Any) -> Any:
        place = running.folder(contexts, question.run, 1)
        folders.append(sorted(each.name for each in place.glob("*")))
        place.mkdir(parents=True, exist_ok=True)
        (place / "junit.xml").write_text("kept")
        return calm(contexts, question)

    def crash_first(contexts: Any, id_: str, question: Any, name: str, *rest: Any) -> Any:
        if name not in cut:
            cut.add(name)
            raise Crash
        return deposit(contexts, id_, question, name, *rest)

    async def step(self: Any, name: str, do: Any, *args: Any, slot: str | None = None) -> Any:
        try:
            return await once(self, name, do, *args)
        except Crash:
            return await once(self, name, do, *args)

    once = durable_fake.EagerFlow.step
    calm = site.measuring.measure
    monkeypatch.setattr(site.measuring, "measure", measure)
    monkeypatch.setattr(checking, "_deposit", crash_first)
    monkeypatch.setattr(durable_fake.EagerFlow, "step", step)
    release = through(site, "1")
    assert release.status == "completed"
    assert folders == [[], ["junit.xml"]] * 4
    assert not list((site.contexts.port(Settings).home / "releases").glob(f"{release.id}-*"))


def test_a_load_during_which_the_gateway_was_started_again_is_sent_again(site: Any) -> None:
    asked = []

    def restarted_once(question: Any) -> dict[str, Any]:
        asked.append(question.run)
        if len(asked) == 1:
            raise errors.Unavailable("the gateway was started again during the load")
        return fake.GOOD["endpoint_performance"]

    site.measuring.answers["endpoint_performance"] = restarted_once
    site.register("1")
    site.define()
    assert through(site, "1").status == "completed"
    assert len(asked) == 2


@pytest.mark.parametrize("twice", [False, True])
def test_steps_that_are_repeated_tell_nothing_twice(site: Any, monkeypatch: pytest.MonkeyPatch, twice: bool) -> None:
    once = durable_fake.EagerFlow.step

    async def step(self: Any, name: str, do: Any, *args: Any, slot: str | None = None) -> Any:
        if twice and name not in ("job", "deploy"):
            await once(self, name, do, *args)
        return await once(self, name, do, *args)

    monkeypatch.setattr(durable_fake.EagerFlow, "step", step)
    site.register("1")
    site.define()
    through(site, "1")
    site.register("3")
    release = through(site, "3")
    told = [fact.type for fact in site.facts(release.id)]
    assert told == TOLD


def test_a_release_whose_workflow_is_gone_ends_and_takes_away_what_it_began(site: Any) -> None:
    site.register("1")
    site.define()
    release = site.start("1")

    async def lost() -> None:
        await site.until(release.id, "waiting")
        raise Crash

    with pytest.raises(Crash):
        site.run(lost)
    with site.contexts.write(actors.service("durable")) as ctx:
        (found,) = unfinished.search(ctx)
        durable.start(ctx, found.workflow, found.workflow_id, found.argument)
    site.run()
    ended = site.get(release.id)
    assert (ended.status, len(ended.reasons)) == ("failed", 1)
    assert "Doubleloop itself failed" in ended.reasons[0]
    assert site.deployments("staging", "bikes-test") == []
    with pytest.raises(errors.DoubleloopError):
        site.decide(release.id)
    with site.contexts.read(actors.service("durable")) as ctx:
        assert list(unfinished.search(ctx)) == []
