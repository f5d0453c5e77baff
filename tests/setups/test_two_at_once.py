"""Two people apply a setup file at the same moment."""

from __future__ import annotations

import threading
from typing import Any

from doubleloop.base import errors
from doubleloop.events import queries as events
from doubleloop.setups import commands
from doubleloop.specs import documents

SETUP = """
$schema: doubleloop/setup
workspaces: [{name: one, kind: preproduction}, {name: two, kind: production}]
users: [{name: mary}]
groups: [{name: leads, persona: project_lead, members: [mary], workspaces: [two]}]
"""


def at_once(house: Any, digest: str | None) -> list[str]:
    """What became of six that apply together: ``made``, ``nothing`` to change, or ``conflict``."""
    ready, found = threading.Barrier(6), []

    def apply() -> None:
        ready.wait()
        try:
            with house.write("service:setup", None) as ctx:
                done = commands.apply(ctx, documents.parse(SETUP, "setup.yml", "/"), digest)
            found.append("made" if any(each.action != "none" for each in done.changes) else "nothing")
        except errors.Conflict:
            found.append("conflict")

    threads = [threading.Thread(target=apply) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return sorted(found)


def test_one_makes_it_so_and_the_others_find_nothing_to_do(house: Any) -> None:
    assert at_once(house, None) == ["made", *["nothing"] * 5]
    with house.read("service:setup", None) as ctx:
        assert len(events.facts(ctx, types=["setup.applied"])) == 1


def test_of_those_who_pinned_a_plan_one_applies_it_and_the_others_are_told(house: Any) -> None:
    with house.read("service:setup", None) as ctx:
        digest = commands.plan(ctx, documents.parse(SETUP, "setup.yml", "/")).digest
    assert at_once(house, digest) == [*["conflict"] * 5, "made"]
