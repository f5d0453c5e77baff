"""Which workflows are brought on: those that died, and never one that is alive or has only not begun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from doubleloop.base import actors
from doubleloop.db import engine as engines
from doubleloop.db import tables
from doubleloop.db.context import Contexts
from doubleloop.durable import commands, ports, rescuing, rules

ALIVE, DEAD = rules.Fate(False), rules.Fate(True, "ValueError: no")


class Known:
    """An engine that knows these workflows and keeps what it is asked to start."""

    def __init__(self, contexts: Contexts, known: dict[str, rules.Fate]) -> None:
        self.contexts = contexts
        self.known = known
        self.started: list[str] = []

    def fates(self, workflow_ids: Sequence[str]) -> Mapping[str, rules.Fate]:
        return {name: self.known[name] for name in workflow_ids if name in self.known}

    def restart(self, workflow_id: str, workflow: str, argument: dict[str, Any]) -> None:
        self.started.append(workflow_id)


@pytest.fixture
def contexts(tmp_path: Path) -> Contexts:
    database = engines.create(f"sqlite:///{tmp_path / 'doubleloop.sqlite'}")
    tables.METADATA.create_all(database)
    return Contexts(database, {})


@pytest.mark.parametrize(
    ("before", "after", "cure"),
    [
        (ALIVE, None, rules.Cure.NONE),
        (DEAD, None, rules.Cure.RESTART),
        (None, None, rules.Cure.RESTART),
        (DEAD, ALIVE, rules.Cure.NONE),
        (DEAD, DEAD, rules.Cure.GIVE_UP),
        (None, DEAD, rules.Cure.GIVE_UP),
    ],
)
def test_the_cure(before: rules.Fate | None, after: rules.Fate | None, cure: rules.Cure) -> None:
    assert rules.cure(before, after) is cure


def test_one_that_waits_in_the_outbox_is_left_alone_and_a_failing_one_keeps_no_other_from_its_cure(
    contexts: Contexts,
) -> None:
    given_up = []

    def fail(contexts: Contexts, reason: str) -> None:
        raise OSError("the disk is full")

    def search(ctx: Any) -> list[ports.Unfinished]:
        return [
            ports.Unfinished("queued", "w", {}, fail),
            ports.Unfinished("hopeless", "w", {}, fail),
            ports.Unfinished("twice", "w", {}, lambda contexts, reason: given_up.append(reason)),
            ports.Unfinished("dead", "w", {}, fail),
        ]

    with contexts.write(actors.service("durable")) as ctx:
        commands.start(ctx, "w", "queued", {})
    again = {rules.second(name): DEAD for name in ("hopeless", "twice")}
    engine = Known(contexts, {"dead": DEAD, **again})
    assert rescuing.rescue(engine, [search]) == 3
    assert engine.started == ["dead"]
    assert len(given_up) == 1
    assert "failed twice here: ValueError: no" in given_up[0]
