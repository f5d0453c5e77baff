"""One release from its start to its end: the order of events, and nothing else. What is done stands in the modules
of the steps, what is decided in ``rules``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from doubleloop.durable import ports as flows
from doubleloop.releases import bundling, checking, deploying, model, retraining, rolling, stages

RETRY_S = 15.0
CLEAN_LOOKS = 60
TRIES = 5
TRANSIENT = frozenset({"OperationalError", "Unavailable", "TimeoutError", "ConnectionError"})

Ending = stages.Ending


async def run(flow: flows.Flow, argument: dict[str, Any]) -> Any:
    """Every way out goes through ``clean`` and ``finish``; a fault in a step ends the release, it never hangs it."""
    id_ = argument["release"]
    try:
        ending = await _stages(flow, id_)
    except Exception as error:
        ending = stages.failed(f"a step could not be carried out: {type(error).__name__}: {error}"[:2000])
    ending["reasons"] = [*ending["reasons"], *await _clean(flow, id_, ending["status"] == model.Status.COMPLETED)]
    return await _do(flow, "finish", stages.finish, id_, ending)


async def end(flow: flows.Flow, argument: dict[str, Any]) -> Any:
    """The end of a release whose own workflow died. It is not run once more: traffic may have moved, and people have
    decided on what lay before them then."""
    id_ = argument["release"]
    ending = await _do(flow, "judge", stages.ending_without_workflow, id_)
    ending["reasons"] = [*ending["reasons"], *await _clean(flow, id_, ending["status"] == model.Status.COMPLETED)]
    return await _do(flow, "finish", stages.finish, id_, ending)


WORKFLOWS: dict[str, flows.Body] = {"releases.run": run, "releases.end": end}


async def _do(flow: flows.Flow, name: str, do: Callable[..., Any], *args: Any) -> Any:
    """A step, tried again when what it needs was away for a moment: a release may have waited for days.

    The kind of an error is compared by name, because a replay knows no more of it.
    """
    for attempt in range(TRIES):
        try:
            return await flow.step(name, do, flow.contexts, *args)
        except Exception as error:
            if getattr(error, "kind", type(error).__name__) not in TRANSIENT or attempt == TRIES - 1:
                raise
        await flow.sleep(RETRY_S)
    raise AssertionError("not reached")


async def _clean(flow: flows.Flow, id_: str, completed: bool) -> list[str]:
    """Take away what must not stay; returns what could not be. Nothing keeps a release from ending."""
    try:
        for _ in range(CLEAN_LOOKS):
            cleaned = await _do(flow, "clean", deploying.clean, id_, completed)
            if cleaned["wait"] is None:
                return list(cleaned["problems"])
            await flow.wait(cleaned["topic"], cleaned["wait"])
    except Exception as error:
        return [f"what the release had begun could not be taken away: {type(error).__name__}: {error}"[:2000]]
    return ["a deployment of the release did not come to rest and was left behind"]


async def _stages(flow: flows.Flow, id_: str) -> Ending:
    begun = await _do(flow, "begin", stages.begin, id_)
    notes: list[str] = []
    for position in range(begun["stages"]):
        plan = await _do(flow, f"{position}: enter", stages.enter, id_, position)
        ending = plan["end"] or await _stage(flow, id_, position, plan, notes)
        if ending:
            return ending
    return {"status": model.Status.COMPLETED.value, "reasons": notes}


async def _stage(flow: flows.Flow, id_: str, position: int, plan: dict[str, Any], notes: list[str]) -> Ending | None:
    at = f"{position}: "
    ending = None
    if plan["retrain"]:
        ending = await _started(flow, id_, f"{at}retrain", retraining.submit, retraining.look)
    # Unsafe files are found before anything loads them.
    ending = ending or await _checks(flow, id_, at, plan["checks"], scans=True)
    if plan["sign"]:
        ending = ending or await _do(flow, f"{at}sign", deploying.sign, id_)
    if plan["deployment"] and plan["early"]:
        ending = ending or await _do(flow, f"{at}pack", bundling.pack, id_)
        ending = ending or await _started(flow, id_, f"{at}deploy", deploying.deploy, deploying.look)
    ending = ending or await _checks(flow, id_, at, plan["checks"], scans=False)
    if plan["checks"]:
        ending = ending or await _do(flow, f"{at}judge", stages.judge, id_)
    if plan["approval"]:
        ending = ending or await _people(flow, id_, at)
    if plan["deployment"] and not plan["early"]:
        ending = ending or await _do(flow, f"{at}pack", bundling.pack, id_)
        ending = ending or await _started(flow, id_, f"{at}deploy", deploying.deploy, deploying.look)
    if plan["deployment"] and plan["rollout"]:
        ending = ending or await _roll_out(flow, id_, at)
    return ending or await _pass(flow, id_, at, plan, notes)


async def _started(
    flow: flows.Flow, id_: str, name: str, start: Callable[..., Any], look: Callable[..., Any]
) -> Ending | None:
    """Start something that signals its end, and look until it has ended: at each signal and now and then."""
    begun = await _do(flow, name, start, id_)
    if begun["end"]:
        return _ending(begun)
    while True:
        seen = await _do(flow, f"{name}: look", look, id_)
        if seen["end"] or seen.get("go"):
            return _ending(seen)
        await flow.wait(begun["topic"], seen["wait"])


def _ending(answer: dict[str, Any]) -> Ending | None:
    ending: Ending | None = answer["end"]
    return ending


async def _checks(flow: flows.Flow, id_: str, at: str, types: list[str], *, scans: bool) -> Ending | None:
    """All of them, so that a release that fails says everything that is wrong with it. But what scans have found
    ends it before the model is loaded."""
    found = False
    for index, type_ in enumerate(types):
        if (type_ == "scan") is not scans:
            continue
        answer = await _check(flow, id_, f"{at}check {index}", index)
        if answer["end"]:
            return _ending(answer)
        found = found or answer["outcome"] == "failed"
    if scans and found:
        return await _do(flow, f"{at}judge scans", stages.judge_scans, id_)
    return None


async def _check(flow: flows.Flow, id_: str, name: str, index: int) -> dict[str, Any]:
    attempt = 1
    while True:
        answer: dict[str, Any] = await _do(flow, name, checking.check, id_, index, attempt)
        if not answer.get("retry"):
            return answer
        attempt += 1
        await flow.sleep(RETRY_S)


async def _people(flow: flows.Flow, id_: str, at: str) -> Ending | None:
    asked = await _do(flow, f"{at}ask", stages.ask_people, id_)
    if asked["end"]:
        return _ending(asked)
    while True:
        heard = await _do(flow, f"{at}hear", stages.hear_people, id_)
        if heard["end"] or heard.get("go"):
            return _ending(heard)
        await flow.wait(asked["topic"], heard["wait"])


async def _roll_out(flow: flows.Flow, id_: str, at: str) -> Ending | None:
    while True:
        turn = await _do(flow, f"{at}take turn", rolling.take_turn, id_)
        if turn["end"]:
            return _ending(turn)
        if turn.get("go"):
            break
        await flow.wait(rolling.TOPIC, turn["wait"])
    plan = turn["go"]
    for percent in plan["steps"]:
        moved = await _do(flow, f"{at}to {percent} %", rolling.shift, id_, percent)
        ending = _ending(moved) or await _bake(flow, id_, at, percent, moved["metrics"], plan)
        if ending:
            return ending
    return None


async def _bake(
    flow: flows.Flow, id_: str, at: str, percent: int, before: dict[str, Any] | None, plan: dict[str, Any]
) -> Ending | None:
    pauses = list(plan["looks"])
    silent = 0
    while pauses:
        last = len(pauses) == 1
        if pauses[0] > 0:
            await flow.wait(rolling.TOPIC, pauses[0])
        seen = await _do(flow, f"{at}look at {percent} %", rolling.look, id_, percent, before, plan["abort"], last)
        if seen["end"]:
            return _ending(seen)
        if last and seen.get("again"):
            # The last look decides, so it is repeated until the gateway answers, for a while.
            silent += 1
            if silent > rolling.PATIENCE_LOOKS:
                return rolling.out_of_patience(percent)
            pauses = [5.0]
        else:
            pauses.pop(0)
    return None


async def _pass(flow: flows.Flow, id_: str, at: str, plan: dict[str, Any], notes: list[str]) -> Ending | None:
    passed = await _do(flow, f"{at}pass", rolling.promote, id_, plan["rollout"])
    if passed["end"]:
        return _ending(passed)
    problem = await _do(flow, f"{at}pack what serves", bundling.pack, id_)
    notes += problem["reasons"] if problem else []
    if passed["monitor"]:
        problem = await _do(flow, f"{at}monitor", rolling.watch, id_)
        notes += [problem] if problem else []
    return None
