"""Which steps of a job or group start now, start again, or never will, and how it has ended: pure.

The same question is asked at every turn with nothing but the present states, so a turn that is repeated, late or
missed does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from doubleloop.jobs.model import ENDED, Edge, Status, Step, Task

# A step whose runner was killed (power cut, lack of memory, a hand) runs once more by itself: its command did not
# fail. A second loss in the same round is taken as the step's own doing.
LOST_RETRIES = 1


@dataclass(frozen=True)
class Condition:
    """The value ``output`` of ``step`` (or, without a step, ``value``) is true, or with ``wanted`` False is not."""

    wanted: bool
    step: str = ""
    output: str = ""
    value: Any = None


@dataclass(frozen=True)
class Node:
    """A step and the names of the steps that must be completed before it. ``last``: it runs when all others have
    ended, however they did."""

    name: str
    needs: tuple[str, ...] = ()
    when: tuple[Condition, ...] = ()
    last: bool = False


@dataclass(frozen=True)
class State:
    """``lost``: the last attempt ended because its runner was killed; ``losses`` counts such ends in this round.
    ``values`` are the outputs that are values."""

    status: Status = Status.QUEUED
    lost: bool = False
    losses: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """What to do now. ``start`` are new attempts, ``skip`` maps a step to the reason, ``end`` is the final status
    once nothing is left to do."""

    start: tuple[str, ...] = ()
    skip: Mapping[str, str] = field(default_factory=dict)
    cancel: tuple[str, ...] = ()
    end: Status | None = None


def node(task: Task) -> Node:
    return Node(task.name, task.needs, tuple(_condition(each) for each in task.when), task.last)


def state(step: Step) -> State:
    values = {name: output["value"] for name, output in step.outputs.items() if "value" in output}
    return State(step.status, step.lost, step.losses, values)


def _condition(written: Mapping[str, Any]) -> Condition:
    source, wanted = written["source"], bool(written["is"])
    if "step" in source:
        return Condition(wanted, str(source["step"]), str(source["output"]))
    return Condition(wanted, value=source.get("value"))


def is_true(value: Any) -> bool:
    """Whether a value means yes, as Azure ML takes it: true, or the text of it."""
    return value is True or str(value).strip().lower() == "true"


def turn(nodes: Sequence[Node], states: Mapping[str, State], *, cancelled: bool, go_on: bool) -> Turn:
    """The next turn of a job, or of a group.

    ``cancelled``: somebody asked for its end; what runs is stopped elsewhere, the rest never starts. ``go_on``:
    branches that need no failed step continue (``continue_on_step_failure``). A step whose condition does not hold is
    skipped, and so are those that need it; that is no failure.
    """
    if cancelled:
        unstarted = (Status.QUEUED, Status.PREPARING)
        now = Turn(cancel=tuple(node.name for node in nodes if states[node.name].status in unstarted))
        return _with_end(nodes, states, now, True, set())
    again = {node.name for node in nodes if _may_run_again(states[node.name])}
    waiting = [node for node in nodes if states[node.name].status is Status.QUEUED and not node.last]
    passed = _passed_by(nodes, states)
    skip = {name: why for name, why in passed.items() if states[name].status is Status.QUEUED}
    waiting = [node for node in waiting if node.name not in skip]
    skip |= _skipped(waiting, _causes(states, again | set(passed)), go_on)
    ready = {
        node.name
        for node in waiting
        if node.name not in skip and all(states[need].status is Status.COMPLETED for need in node.needs)
    }
    now = Turn(tuple(node.name for node in nodes if node.name in ready | again), skip)
    return _with_end(nodes, states, _with_last(nodes, states, now), False, set(passed))


def _may_run_again(state: State) -> bool:
    return state.status is Status.FAILED and state.lost and state.losses <= LOST_RETRIES


def _passed_by(nodes: Sequence[Node], states: Mapping[str, State]) -> dict[str, str]:
    """Steps that are not taken: a condition of theirs does not hold, or they need one that is not taken."""
    found: dict[str, str] = {}
    left = list(nodes)
    while left:
        new: dict[str, str] = {}
        for node in left:
            need = next((need for need in node.needs if need in found), None)
            if need is not None:
                new[node.name] = f"step {need} did not run"
            elif any(_holds(each, states) is False for each in node.when):
                new[node.name] = "its condition does not hold"
        if not new:
            break
        found |= new
        left = [node for node in left if node.name not in found]
    return found


def _holds(condition: Condition, states: Mapping[str, State]) -> bool | None:
    """None while it cannot be told."""
    if not condition.step:
        return is_true(condition.value) is condition.wanted
    before = states.get(condition.step)
    if before is None or before.status is not Status.COMPLETED:
        return None
    return is_true(before.values.get(condition.output)) is condition.wanted


def _causes(states: Mapping[str, State], but: set[str]) -> dict[str, str]:
    """Steps that no step behind them can wait for, each with the words for it."""
    words = {Status.FAILED: "failed", Status.CANCELLED: "was cancelled", Status.SKIPPED: "was skipped"}
    return {
        name: f"step {name} {words[state.status]}"
        for name, state in states.items()
        if state.status in words and name not in but
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


def _with_last(nodes: Sequence[Node], states: Mapping[str, State], now: Turn) -> Turn:
    """Steps that come when all others have ended; these begin in the turn in which the others' ends are told."""
    others = [node.name for node in nodes if not node.last]
    if now.start or any(states[name].status not in ENDED and name not in now.skip for name in others):
        return now
    last = tuple(node.name for node in nodes if node.last and states[node.name].status is Status.QUEUED)
    return replace(now, start=last) if last else now


def _with_end(nodes: Sequence[Node], states: Mapping[str, State], now: Turn, cancelled: bool, passed: set[str]) -> Turn:
    after = {node.name: states[node.name].status for node in nodes}
    after |= dict.fromkeys(now.skip, Status.SKIPPED) | dict.fromkeys(now.cancel, Status.CANCELLED)
    if now.start or any(status not in ENDED for status in after.values()):
        return now
    found = {status for name, status in after.items() if not (status is Status.SKIPPED and name in passed)}
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
