"""Targets that hear of facts by themselves: who should know that rights were asked for, or a glass broken."""

from __future__ import annotations

import fnmatch
from typing import Any

from doubleloop.automation import commands, messages
from doubleloop.base import actors, errors
from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import commands as durable
from doubleloop.durable import ports as flows
from doubleloop.events import commands as events
from doubleloop.events import queries as facts
from doubleloop.events.model import Fact
from doubleloop.identity import activations
from doubleloop.identity import queries as identities
from doubleloop.workspaces import declared
from doubleloop.workspaces import queries as workspaces

ACTOR = actors.service("automation")
ATTEMPTS = 5
PAUSE_SECONDS = 10.0
# Facts that name the personas whom they concern.
CONCERNING = (
    "monitor.alert", "alert.reopened", "contract.broken", "contract.refused", "labeling.exported",
    "labeling.not_exported", "labeling.not_synced", "training.proposed",
)  # fmt: skip
# Of these, those whose monitor may name mailboxes (``alert_notification``).
ALERTS = ("monitor.alert", "alert.reopened")


def spread(ctx: Ctx, fact: Fact) -> None:
    """Start a message to each target whose ``events`` name this fact, and to the targets of those who are asked to
    approve, or whom an alert or a budget concerns; once per target and fact, and once for all alerts of a run."""
    hearing = {name for name, target in declared.every(ctx, "notification").items() if hears(target, fact)}
    before = [each for each in commands.occasion(ctx, fact) if each.seq < fact.seq]
    asked = _asked(ctx, fact).difference(*(_asked(ctx, each) for each in before))
    for name in sorted(hearing | asked):
        argument = {"target": name, "fact": fact.seq, "workspace": fact.workspace}
        durable.start(ctx, "automation.tell", f"tell-{name}-{fact.seq}", argument)


def _asked(ctx: Ctx, fact: Fact) -> set[str]:
    """Rights that wait for somebody's yes are told to the groups that can say it, alerts and newly labelled data to the
    groups of the personas that they concern and to the mailboxes of the monitor's file, and stopped rules to those of
    their author, without a rule for it."""
    if fact.type == "rule.loop_stopped":
        return identities.told_of(ctx, str(fact.data.get("author")), fact.workspace)
    if fact.type == "budget.alert":
        named = set(fact.data.get("notify") or ()) & set(declared.every(ctx, "notification"))
        return named | identities.told(ctx, fact.data.get("tell") or (), fact.workspace)
    if fact.type in CONCERNING and fact.workspace is not None:
        written = set(fact.data.get("emails") or ()) if fact.type in ALERTS else set()
        return written | identities.told(ctx, fact.data.get("tell") or (), fact.workspace)
    if fact.type != "activation.requested" or not fact.data.get("needs_approval"):
        return set()
    return activations.told(ctx, fact.subject.removeprefix("activation:"))


def hears(target: dict[str, Any], fact: Fact) -> bool:
    """``workspaces`` limit the facts of workspaces; those of the installation go to every target that names them."""
    limited = target.get("workspaces")
    here = fact.workspace is None or not limited or fact.workspace in limited
    return here and any(fnmatch.fnmatchcase(fact.type, pattern) for pattern in target.get("events") or ())


async def tell(flow: flows.Flow, argument: dict[str, Any]) -> Any:
    problem = ""
    for attempt in range(1, ATTEMPTS + 1):
        result = await flow.step(f"send {attempt}", _send, flow.contexts, argument)
        problem = result.get("error", "")
        if not result.get("again"):
            break
        await flow.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
    await flow.step("record", _record, flow.contexts, argument, problem)
    return problem


WORKFLOWS: dict[str, flows.Body] = {"automation.tell": tell}


def _send(contexts: Contexts, argument: dict[str, Any]) -> dict[str, Any]:
    """``{"done"}`` or ``{"error": why, "again": whether trying again may help}``."""
    with contexts.read(ACTOR, argument["workspace"]) as ctx:
        fact = facts.facts(ctx, after=argument["fact"] - 1, limit=1)[0]
        try:
            targets = declared.addresses(ctx, [argument["target"]])
            allowed = workspaces.reach(ctx)
            also = _also(ctx, argument["target"], fact)
        except errors.DoubleloopError as error:
            return {"error": str(error)}
    place = f" in {fact.workspace}" if fact.workspace else ""
    title, key = f"Doubleloop: {fact.type}{place}", f"tell-{argument['target']}-{fact.seq}"
    message = messages.Message(title, messages.describe(fact) + also, key)
    try:
        return {"done": messages.send(contexts, argument["workspace"], targets, message, allowed)}
    except errors.Unavailable as error:
        return {"error": str(error), "again": True}
    except errors.DoubleloopError as error:
        return {"error": str(error)}


def _also(ctx: Ctx, target: str, fact: Fact) -> str:
    """The other alerts of the run that concern the target, of which it gets no message of their own."""
    spec = declared.every(ctx, "notification").get(target)
    others = [each for each in commands.occasion(ctx, fact) if each.seq != fact.seq and target in _asked(ctx, each)]
    return "" if spec is not None and hears(spec, fact) else messages.also(others)


def _record(contexts: Contexts, argument: dict[str, Any], problem: str) -> None:
    subject = f"notification:{argument['target']}"
    with contexts.write(ACTOR, argument["workspace"]) as ctx:
        if problem:
            events.record(ctx, "notification.failed", subject, fact=argument["fact"], error=problem)
        else:
            events.record(ctx, "notification.sent", subject, fact=argument["fact"])
