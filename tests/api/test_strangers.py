"""Refusals of somebody unknown: on record, but not without limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from api_server import SETUP, Served

from doubleloop.events import model
from doubleloop.events import queries as events
from doubleloop.identity import strangers
from doubleloop.identity.strangers import Entry, Strangers

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOST = strangers.MOST_OF_ADDRESS


def denials(served: Served) -> list[model.Fact]:
    with served.contexts.read(SETUP) as ctx:
        return events.facts(ctx, types=["access.denied"], limit=1000)


def test_a_stranger_cannot_fill_the_record_and_somebody_known_is_on_it_each_time(served: Served) -> None:
    paths = ["/api/v1/workspaces/dev/models", "/mlflow/w/dev/health"]
    for number in range(MOST + 20):
        assert served.as_(None).get(paths[number % 2]).status_code == 401
    found = denials(served)
    assert len(found) == MOST
    assert [each.seq for each in found if "silent_until" in each.data] == [found[-1].seq]
    for _ in range(MOST + 5):
        assert served.as_("nobody").get(paths[0]).status_code == 403
    assert len(denials(served)) == MOST + MOST + 5
    with served.contexts.read(SETUP) as ctx:
        assert events.verify(ctx).whole


def test_the_last_entry_says_until_when_and_the_next_one_how_many_were_left_out() -> None:
    counted = Strangers()
    first = [counted.refused("a", NOW + timedelta(seconds=n / 10)) for n in range(MOST + 7)]
    assert first == [Entry()] * (MOST - 1) + [Entry(silent_until=NOW + strangers.WITHIN)] + [None] * 7
    assert counted.refused("b", NOW + timedelta(seconds=30)) == Entry()
    assert counted.refused("a", NOW + strangers.WITHIN) == Entry(left_out=7)
    assert counted.refused("a", NOW + strangers.WITHIN) == Entry()
    assert Entry(left_out=7).to_dict() == {"left_out": 7} and Entry().to_dict() == {}


def test_many_addresses_together_cannot_fill_it_either() -> None:
    counted = Strangers()
    entries = [counted.refused(f"10.0.{n // 250}.{n % 250}", NOW) for n in range(strangers.MOST * 2)]
    assert sum(each is not None for each in entries) == strangers.MOST
    assert counted.refused("10.9.9.9", NOW + strangers.WITHIN) == Entry(left_out=strangers.MOST)
