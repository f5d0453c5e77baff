"""A dry run says what a rule would have done, as the loop would have judged, and changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from doubleloop.automation import commands, loop, rehearsing
from doubleloop.base import errors
from doubleloop.db.context import Contexts
from doubleloop.durable import store as outbox
from doubleloop.events import commands as events
from doubleloop.events import queries as facts
from doubleloop.monitoring import store as _store  # noqa: F401  (declares its tables before the house is built)
from doubleloop.specs import documents

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
RULE = """
$schema: doubleloop/rule
name: tell
on: monitor.alert
where: {value: {at_least: 10}}
do: [{notify: {to: [team], title: "${{fact.metric}} in ${{fact.workspace}}"}}, {webhook: {url: "https://example.org"}}]
cool_down: 2h
limit: {count: 3, per: 1d}
"""


def at(house: Any, hours: float) -> Contexts:
    return Contexts(house.contexts.engine, house.ports, lambda: BEGIN + timedelta(hours=hours))


def happens(house: Any, hours: float, value: float = 12.0, type_: str = "monitor.alert", **data: Any) -> None:
    with at(house, hours).write(house.actor("service:monitor"), data.pop("workspace", "dev")) as ctx:
        events.record(ctx, type_, "monitor:m", **{"value": value, "metric": "mae", **data})


def document(text: str = RULE) -> documents.Document:
    return documents.parse(text, "rule.yml", "/")


def story(house: Any) -> None:
    for hours, more in (
        (0, {}), (1, {}), (2.5, {"run": "r1"}), (2.5, {"run": "r1", "metric": "rmse"}), (3, {"value": 3.0}), (5, {}),
        (9, {}), (20, {"workspace": "prod"}), (30, {}),
    ):  # fmt: skip
        happens(house, hours, **more)


def rehearse(house: Any, since: float = -1, until: float = 40, **given: Any) -> rehearsing.Rehearsal:
    with at(house, until).read(house.actor("ada"), "dev") as ctx:
        return rehearsing.rehearse(ctx, "tell", BEGIN + timedelta(hours=since), **given)


def test_cool_down_limit_and_occasions_are_replayed(house: Any) -> None:
    story(house)
    found = rehearse(house, document=document())
    hours = [((each.at - BEGIN).total_seconds() / 3600, each.acts) for each in found.occasions]
    # By hand: 0 acts; 1 is within 2 h; 2.5 acts, its second alert is the same occasion; 5 acts, the third of the day;
    # 9 is over the limit; 30 is another day. The value 3 and the alert in prod are not the rule's.
    assert hours == [(0, True), (1, False), (2.5, True), (2.5, False), (5, True), (9, False), (30, True)]
    assert (found.acted, found.skipped) == (4, 3)
    assert "cooling down" in found.occasions[1].why and "run r1 already" in found.occasions[3].why
    assert found.occasions[5].why == "acted 3 times in 1d already"
    assert found.occasions[0].does == ("notify: team: mae in dev", "webhook: https://example.org")


def test_the_loop_does_what_the_dry_run_said(house: Any) -> None:
    """The same facts, once rehearsed and once lived through."""
    story(house)
    said = [(each.fact, each.acts) for each in rehearse(house, document=document()).occasions]
    with at(house, -1).write(house.actor("ada"), "dev") as ctx:
        commands.put_rule(ctx, document(RULE.replace("team", "a@example.org")))
    with house.read("service:setup", None) as ctx:
        waiting = events.unread(ctx, loop.CONSUMER, limit=1000)
    for fact in waiting:  # as they came, each at its time
        moment = Contexts(house.contexts.engine, house.ports, lambda fact=fact: fact.at)  # type: ignore[misc]
        with moment.write(loop.ACTOR, fact.workspace) as ctx:
            loop.react(ctx, fact)
    with house.read("service:setup", None) as ctx:
        lived = facts.facts(ctx, types=["rule.fired", "rule.skipped"], limit=1000)
    assert [(each.data["fact"], each.type == "rule.fired") for each in lived] == said


def test_nothing_is_changed(house: Any) -> None:
    story(house)
    with house.write("ada", "dev") as ctx:
        commands.put_rule(ctx, document(RULE.replace("team", "a@example.org")))

    def everything() -> tuple[Any, ...]:
        with house.read("service:setup", None) as ctx:
            head = facts.head(ctx)
            return head, len(outbox.pending(ctx, 1000)), commands.get_rule(ctx.in_workspace("dev"), "tell")

    before = everything()
    assert rehearse(house).acted == 4
    assert everything() == before


def test_what_an_action_could_not_do_is_told(house: Any) -> None:
    happens(house, 0)
    text = RULE.replace("fact.metric", "fact.colour")
    (only,) = rehearse(house, document=document(text)).occasions
    assert only.does[0].startswith("notify: would fail: The fact monitor.alert has no field 'colour'")


def test_a_loop_is_seen_in_the_record(house: Any) -> None:
    happens(house, 0, type_="job.failed", purpose={})
    with house.read("service:setup", None) as ctx:
        (first,) = facts.facts(ctx, types=["job.failed"])
    happens(house, 5, type_="job.failed", purpose={"rule": "x", "fact": first.seq})
    text = "name: tell\non: job.failed\ndo: [{notify: {to: [team]}}]\n"
    found = rehearse(house, document=documents.parse(text, "r.yml", "/", kind="rule"))
    assert [each.acts for each in found.occasions] == [True, False]
    assert "its own action" in found.occasions[1].why


def test_what_cannot_be_rehearsed_is_refused(house: Any) -> None:
    with pytest.raises(errors.NotFound, match="No rule is named 'tell'"):
        rehearse(house)
    with pytest.raises(errors.InvalidInput, match="has not been yet"):
        rehearse(house, since=99, document=document())
    with pytest.raises(errors.NotPermitted), at(house, 1).read(house.actor("eve"), "dev") as ctx:
        rehearsing.rehearse(ctx, "tell", BEGIN, document())
