"""What a job does next, as a pure question."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from doubleloop.jobs.model import ENDED, Status
from doubleloop.jobs.planning import LOST_RETRIES, Node, State, turn

DIAMOND = [Node("a"), Node("b", ("a",)), Node("c", ("a",)), Node("d", ("b", "c"))]
NAMES = {"q": Status.QUEUED, "p": Status.PREPARING, "r": Status.RUNNING, "c": Status.COMPLETED, "f": Status.FAILED,
         "x": Status.CANCELLED, "s": Status.SKIPPED}  # fmt: skip


def states(letters: str) -> Mapping[str, State]:
    return {name: State(NAMES[letter]) for name, letter in zip("abcd", letters, strict=True)}


def look(letters: str, *, cancelled: bool = False, go_on: bool = False) -> tuple[str, str, str, Status | None]:
    now = turn(DIAMOND, states(letters), cancelled=cancelled, go_on=go_on)
    return "".join(now.start), "".join(now.skip), "".join(now.cancel), now.end


def test_a_diamond_starts_at_its_top_and_runs_its_sides_in_parallel() -> None:
    assert look("qqqq") == ("a", "", "", None)
    assert look("rqqq") == ("", "", "", None)
    assert look("cqqq") == ("bc", "", "", None)
    assert look("ccrq") == ("", "", "", None)
    assert look("cccq") == ("d", "", "", None)
    assert look("cccc") == ("", "", "", Status.COMPLETED)


def test_a_failed_step_lets_what_runs_finish_and_skips_the_rest() -> None:
    assert look("cfrq") == ("", "d", "", None)
    assert look("cfcs") == ("", "", "", Status.FAILED)
    assert look("fqqq") == ("", "bcd", "", Status.FAILED)


def test_independent_branches_go_on_when_asked() -> None:
    nodes = [Node("a"), Node("b", ("a",)), Node("c"), Node("d", ("c",)), Node("e", ("b",))]
    now = turn(
        nodes, {**{n.name: State() for n in nodes}, "a": State(Status.FAILED), "c": State(Status.COMPLETED)},
        cancelled=False, go_on=True,
    )  # fmt: skip
    assert (now.start, dict(now.skip), now.end) == (("d",), {"b": "step a failed", "e": "step a failed"}, None)


def test_cancel_ends_what_has_not_started_and_waits_for_what_runs() -> None:
    assert look("crpq", cancelled=True) == ("", "", "cd", None)
    assert look("cxxx", cancelled=True) == ("", "", "", Status.CANCELLED)


def test_a_cancelled_job_is_never_failed_and_never_completed() -> None:
    assert look("cfxx", cancelled=True)[3] is Status.CANCELLED
    assert look("cccc", cancelled=True)[3] is Status.CANCELLED


def test_a_lost_step_runs_again_once_and_then_has_failed() -> None:
    one = turn([Node("a")], {"a": State(Status.FAILED, True, 1)}, cancelled=False, go_on=False)
    assert (one.start, one.end) == (("a",), None)
    two = turn([Node("a")], {"a": State(Status.FAILED, True, 1 + LOST_RETRIES)}, cancelled=False, go_on=False)
    assert (two.start, two.end) == ((), Status.FAILED)


def test_a_lost_step_that_will_run_again_skips_nobody() -> None:
    now = turn(
        DIAMOND,
        {**states("cqqq"), "b": State(Status.FAILED, True, 1), "c": State(Status.COMPLETED)},
        cancelled=False,
        go_on=False,
    )
    assert (now.start, dict(now.skip)) == (("b",), {})


def test_a_lost_step_of_a_cancelled_job_stays_ended() -> None:
    now = turn([Node("a")], {"a": State(Status.FAILED, True, 1)}, cancelled=True, go_on=False)
    assert (now.start, now.end) == ((), Status.CANCELLED)


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    size = draw(st.integers(1, 9))
    nodes = []
    for number in range(size):
        needs = draw(st.lists(st.integers(0, number - 1), unique=True, max_size=4)) if number else []
        nodes.append(Node(f"n{number}", tuple(f"n{each}" for each in needs)))
    return draw(st.permutations(nodes))


@given(graphs(), st.booleans(), st.integers(0, 60), st.randoms(use_true_random=False))
def test_any_graph_ends_and_never_runs_a_step_before_what_it_needs(nodes, go_on, cancel_at, random) -> None:  # type: ignore[no-untyped-def]
    """Steps end in a random order and way, and every turn is asked for twice, as after a crash."""
    now: dict[str, State] = {node.name: State() for node in nodes}
    needs = {node.name: node.needs for node in nodes}
    for number in range(1000):
        is_cancelled = number >= cancel_at
        plan = turn(nodes, now, cancelled=is_cancelled, go_on=go_on)
        assert plan == turn(nodes, now, cancelled=is_cancelled, go_on=go_on)
        for name in plan.start:
            assert all(now[need].status is Status.COMPLETED for need in needs[name])
            assert now[name].status not in (Status.PREPARING, Status.RUNNING, Status.COMPLETED)
            now[name] = State(random.choice([Status.PREPARING, Status.RUNNING]), False, now[name].losses)
        now |= {name: State(Status.SKIPPED) for name in plan.skip} | {n: State(Status.CANCELLED) for n in plan.cancel}
        if plan.end:
            break
        active = [name for name, state in now.items() if state.status not in ENDED and state.status != Status.QUEUED]
        assert active, "nothing runs, nothing starts, and the job has not ended"
        name = random.choice(active)
        kind = random.choice(["completed"] * 3 + ["failed", "lost"])
        losses = now[name].losses
        now[name] = {
            "completed": State(Status.COMPLETED),
            "failed": State(Status.FAILED, False, losses),
            "lost": State(Status.FAILED, True, losses + 1),
        }[kind]
    assert plan.end is not None
    assert all(state.status in ENDED for state in now.values())
    if plan.end is Status.COMPLETED:
        assert all(state.status is Status.COMPLETED for state in now.values())
    for name, state in now.items():
        if go_on and plan.end is Status.FAILED and state.status is Status.SKIPPED:
            assert any(now[need].status in (Status.FAILED, Status.SKIPPED) for need in needs[name])
