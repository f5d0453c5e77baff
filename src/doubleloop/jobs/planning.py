"""Which steps of a job start now, start again, or never will, and how the job has ended: pure.

The same question is asked at every turn with nothing but the present states, so a turn that is repeated, late or
missed does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from doubleloop.jobs.model import ENDED, Edge, Status, Task

# A step whose runner was killed (power cut, lack of memory, a hand) runs once more by itself: its command did not
# fail. A second loss in the same round is taken as the step's own doing.
LOST_RETRIES = 1


@dataclass(frozen=True)
class Node:
    """A step and the names of the steps that must be completed before it."""

    name: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class State:
    """``lost``: the last attempt ended because its runner was killed; ``losses`` counts such ends in this round."""

    status: Status = Status.QUEUED
    lost: bool = False
    losses: int = 0


@dataclass(frozen=True)
class Turn:
    """What to do now. ``start`` are new attempts, ``skip`` maps a step to the reason, ``end`` is the job's final
    status once nothing is left to do."""

    start: tuple[str, ...] = ()
    skip: Mapping[str, str] = field(default_factory=dict)
    cancel: tuple[str, ...] = ()
    end: Status | None = None


def turn(nodes: Sequence[Node], states: Mapping[str, State], *, cancelled: bool, go_on: bool) -> Turn:
    """The next turn of a job.

    ``cancelled``: somebody asked for its end; what runs is stopped elsewhere, the rest never starts. ``go_on``:
    branches that need no failed step continue (``continue_on_step_failure``).
    """
    if cancelled:
        unstarted = (Status.QUEUED, Status.PREPARING)
        now = Turn(cancel=tuple(node.name for node in nodes if states[node.name].status in unstarted))
        return _with_end(nodes, states, now, True)
    again = {node.name for node in nodes if _may_run_again(states[node.name])}
    waiting = [node for node in nodes if states[node.name].status is Status.QUEUED]
    skip = _skipped(waiting, _causes(states, again), go_on)
    ready = {
        node.name
        for node in waiting
        if node.name not in skip and all(states[need].status is Status.COMPLETED for need in node.needs)
    }
    now = Turn(tuple(node.name for node in nodes if node.name in ready | again), skip)
    return _with_end(nodes, states, now, False)


def _may_run_again(state: State) -> bool:
    return state.status is Status.FAILED and state.lost and state.losses <= LOST_RETRIES


def _causes(states: Mapping[str, State], again: set[str]) -> dict[str, str]:
    """Steps that no step behind them can wait for, each with the words for it."""
    words = {Status.FAILED: "failed", Status.CANCELLED: "was cancelled", Status.SKIPPED: "was skipped"}
    return {
        name: f"step {name} {words[state.status]}"
        for name, state in states.items()
        if state.status in words and name not in again
    }


def _skipped(waiting: Iterable[Node], causes: Mapping[str, str], go_on: bool) -> dict[str, str]:
    """Steps that never will run. One behind a skipped step is skipped for that step's cause."""
    if not causes:
        return {}
    if not go_on:
        first = next(iter(causes.values()))
        return {node.name: first for node in waiting}
    skip: dict[str, str] = {}
    left = list(waiting)
    while left:
        behind = [(node, need) for node in left for need in node.needs if need in causes or need in skip]
        if not behind:
            break
        for node, need in behind:
            skip.setdefault(node.name, skip.get(need) or causes[need])
        left = [node for node in left if node.name not in skip]
    return skip


def _with_end(nodes: Sequence[Node], states: Mapping[str, State], now: Turn, cancelled: bool) -> Turn:
    after = {node.name: states[node.name].status for node in nodes}
    after |= dict.fromkeys(now.skip, Status.SKIPPED) | dict.fromkeys(now.cancel, Status.CANCELLED)
    if now.start or any(status not in ENDED for status in after.values()):
        return now
    found = set(after.values())
    if cancelled or Status.CANCELLED in found:
        end = Status.CANCELLED
    elif found & {Status.FAILED, Status.SKIPPED}:
        end = Status.FAILED
    else:
        end = Status.COMPLETED
    return replace(now, end=end)


def edges(tasks: Iterable[Task]) -> tuple[Edge, ...]:
    """What flows between the steps; an order without a flow (``needs`` alone) is an edge without names."""
    found = []
    for task in tasks:
        flows = [
            Edge(str(source["step"]), task.name, str(source["output"]), name)
            for name, source in task.inputs.items()
            if "step" in source
        ]
        bare = set(task.needs) - {edge.source for edge in flows}
        found += [*flows, *(Edge(source, task.name) for source in sorted(bare))]
    return tuple(found)
