"""Carrying out what a rule says, one action after the other; each is a durable step of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx

from doubleloop.automation import commands, messages, webhooks
from doubleloop.base import actors, canonical, clock, errors, ids
from doubleloop.data import queries as datasets
from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import ports as flows
from doubleloop.endpoints import commands as endpoints
from doubleloop.endpoints import model as endpoint_model
from doubleloop.endpoints import queries as endpoint_queries
from doubleloop.events import commands as events
from doubleloop.events import queries as facts
from doubleloop.events.model import Fact
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.jobs import commands as jobs
from doubleloop.jobs import queries as past_jobs
from doubleloop.labeling import opening
from doubleloop.monitoring import commands as monitoring
from doubleloop.releases import commands as releases
from doubleloop.specs import documents
from doubleloop.workspaces import declared
from doubleloop.workspaces import queries as workspaces

ACTOR = actors.service("automation")
ATTEMPTS = 3
# Of what is sent to others: they may be away for longer. The pauses double, so that the last try is after 43 minutes.
DELIVERIES = 10
SENT = ("notify", "webhook")
PAUSE_SECONDS = 5.0


async def react(flow: flows.Flow, argument: dict[str, Any]) -> Any:
    """Every action once, in order; then, in rounds with growing pauses, those that may go better another time."""
    verbs = [action.verb for action in documents.from_wire(argument["document"]).model.do]
    results: list[dict[str, Any]] = [{"again": True} for _ in verbs]
    for attempt in range(1, DELIVERIES + 1):
        waiting = [
            index for index, verb in enumerate(verbs)
            if results[index].get("again") and attempt <= (DELIVERIES if verb in SENT else ATTEMPTS)
        ]  # fmt: skip
        if not waiting:
            break
        if attempt > 1:
            await flow.sleep(PAUSE_SECONDS * 2 ** (attempt - 2))
        for index in waiting:
            results[index] = await flow.step(f"{index} {verbs[index]} {attempt}", _do, flow.contexts, argument, index)
    await flow.step("record", _record, flow.contexts, argument, verbs, results)
    return results


async def act(flow: flows.Flow, argument: dict[str, Any]) -> Any:
    """As it was before ``react``: what began so ends so."""
    results = []
    verbs = [action.verb for action in documents.from_wire(argument["document"]).model.do]
    for index, verb in enumerate(verbs):
        result: dict[str, Any] = {}
        for attempt in range(1, ATTEMPTS + 1):
            result = await flow.step(f"{index} {verb} {attempt}", _do, flow.contexts, argument, index)
            if not result.get("again"):
                break
            await flow.sleep(PAUSE_SECONDS * attempt)
        results.append(result)
    await flow.step("record", _record, flow.contexts, argument, verbs, results)
    return results


WORKFLOWS: dict[str, flows.Body] = {"automation.act": act, "automation.react": react}


def _acting(actor: actors.Actor, fact: Fact) -> actors.Actor:
    """What an action does says which fact it answers: by that, loops are seen."""
    return replace(actor, origin=actors.Origin("rule", "", cause=fact.seq))


def _do(contexts: Contexts, argument: dict[str, Any], index: int) -> dict[str, Any]:
    """``{"done": what}`` or ``{"error": why, "again": whether trying again may help}``."""
    with contexts.read(ACTOR) as ctx:
        fact = facts.facts(ctx, after=argument["fact"] - 1, limit=1)[0]
    action = documents.from_wire(argument["document"]).model.do[index]
    # Rules of two workspaces may have one name and hear the same fact.
    key = ids.derived(f"{argument['rule'][:40]}-{argument['fact']}-{index}", argument["workspace"], argument["rule"])
    try:
        body = getattr(action, action.verb)
        with contexts.read(commands.author(argument["author"]), argument["workspace"]) as ctx:
            commands.permit_action(ctx, action)
        return {"done": _VERBS[action.verb](contexts, argument, fact, body, key)}
    except (errors.Unavailable, httpx.HTTPError) as error:
        return {"error": str(error) or type(error).__name__, "again": True}
    except errors.DoubleloopError as error:
        return {"error": str(error)}


def _retrain(contexts: Contexts, argument: dict[str, Any], fact: Fact, body: Any, key: str) -> str:
    """Make data of what production saw (when asked), then start the release; its first stage trains on it."""
    workspace = argument["workspace"]
    trigger: dict[str, Any] = {
        "type": "rule",
        "author": argument["author"],
        "fact": fact.seq,
        "on": fact.type,
        "rule": argument["rule"],
    }
    inputs = {name: _plain(value) for name, value in body.inputs.items()}
    if body.data is not None:
        with contexts.read(commands.author(argument["author"]), workspace) as ctx:
            identity.permit(ctx, Action.DATA_WRITE, datasets.resolve(ctx, body.data.asset).asset.workspace)
        until = _as_of(fact)
        collected = monitoring.collect(
            contexts, _acting(ACTOR, fact), workspace, str(fact.data.get("endpoint")), body.data.asset,
            target=body.data.target, since=until - clock.duration(body.data.window), until=until,
            label=_label(body.data.asset),
        )  # fmt: skip
        trigger["data"] = collected.asset.id
        if body.data.input:
            inputs[body.data.input] = {
                "type": "uri_file",
                "path": f"azureml:{collected.asset.name}:{collected.asset.version}",
            }
    with contexts.write(_acting(ACTOR, fact), workspace) as ctx:
        release = releases.start(
            ctx, body.release, trigger={**trigger, **({"inputs": inputs} if inputs else {})}, id=f"release-{key}"
        )
    return f"release {release.id}"


def _start_release(contexts: Contexts, argument: dict[str, Any], fact: Fact, body: Any, key: str) -> str:
    """Of the version that is named, or else of the one that was registered, or the newest."""
    version = messages.fill(body.model_version, fact) if body.model_version else None
    if version is None and fact.type == "model.registered":
        version = str(fact.data["version"])
    trigger = {
        "type": "rule",
        "author": argument["author"],
        "fact": fact.seq,
        "on": fact.type,
        "rule": argument["rule"],
    }
    with contexts.write(_acting(ACTOR, fact), argument["workspace"]) as ctx:
        release = releases.start(ctx, body.release, model_version=version, trigger=trigger, id=f"release-{key}")
    return f"release {release.id}"


def _scale(contexts: Contexts, argument: dict[str, Any], fact: Fact, body: Any, key: str) -> str:
    endpoint = messages.fill(body.endpoint, fact)
    name = messages.fill(body.deployment, fact) if body.deployment else None
    with contexts.write(_acting(ACTOR, fact), argument["workspace"]) as ctx:
        made, before = endpoints.scale(
            ctx, endpoint, name, f"deployment-{key}", instances=body.instances, change=body.change or 0,
            at_least=body.at_least, at_most=body.at_most,
        )  # fmt: skip
    number = made.spec["spec"].get("instance_count") or 1
    if before == number:
        return f"{made.name} of {endpoint} has {number} already"
    return f"{made.name} of {endpoint} from {before} to {number} instances"


def _as_of(fact: Fact) -> datetime:
    """The moment that the fact speaks of: an alert's window end, in event time."""
    text = fact.data.get("as_of")
    return clock.parse(text) if isinstance(text, str) else fact.at


def _label(reference: str) -> str | None:
    return reference.partition("@")[2] or None


def _plain(value: Any) -> Any:
    return value.model_dump(by_alias=True, exclude_unset=True) if hasattr(value, "model_dump") else value


def _roll_back(contexts: Contexts, argument: dict[str, Any], fact: Fact, body: Any, key: str) -> str:
    """All traffic to the named deployment, or to the newest ready one that has none."""
    name = messages.fill(body.endpoint, fact)
    with contexts.write(_acting(ACTOR, fact), argument["workspace"]) as ctx:
        endpoint = endpoint_queries.get(ctx, name)
        ready = [
            each
            for each in endpoint_queries.deployments(ctx, name)
            if each.status is endpoint_model.Status.READY and not endpoint.traffic.get(each.name)
        ]
        chosen = [each for each in ready if body.deployment in (None, each.name)]
        if not chosen:
            raise errors.Conflict(f"Endpoint {name} has no other ready deployment to go back to")
        target = max(chosen, key=lambda each: each.created_at).name
        endpoints.set_traffic(ctx, name, {target: 100}, reason=f"rule {key}: {fact.type}")
    return f"traffic of {name} to {target}"


def _run_job(contexts: Contexts, argument: dict[str, Any], fact: Fact, body: Any, key: str) -> str:
    author = _acting(commands.author(argument["author"]), fact)
    with contexts.write(author, body.workspace or argument["workspace"]) as ctx:
        if isinstance(body.job, str):
            document = past_jobs.document(ctx, body.job)
        else:
            kind = "pipeline_job" if body.job.type == "pipeline" else "command_job"
            document = documents.from_model(kind, _plain(body.job), f"rule {key}")
        inputs = {name: messages.fill(_plain(value), fact) for name, value in body.inputs.items()}
        job = jobs.submit(ctx, document, id=f"job-{key}", inputs=inputs, purpose={"rule": key, "fact": fact.seq})
    return f"job {job.id}"


def _notify(contexts: Contexts, argument: dict[str, Any], fact: Fact, body: Any, key: str) -> str:
    title = messages.fill(body.title_ or f"Doubleloop: {fact.type} in {argument['workspace']}", fact)
    text = messages.fill(body.message, fact) if body.message else messages.describe(fact)
    with contexts.read(ACTOR, argument["workspace"]) as ctx:
        text += messages.also(_others(ctx, fact))
        targets = declared.addresses(ctx, commands.recipients(ctx, body.to))
        allowed = workspaces.reach(ctx)
    message = messages.Message(title, text, key, body.delivery)
    return messages.send(contexts, argument["workspace"], targets, message, allowed)


def _others(ctx: Ctx, fact: Fact) -> list[Fact]:
    """The other alerts of the run that the fact is of: the rule acts on all of them at once."""
    return [each for each in commands.occasion(ctx, fact) if each.seq != fact.seq]


def _open_labeling(contexts: Contexts, argument: dict[str, Any], fact: Fact, body: Any, key: str) -> str:
    """A project on what the endpoint saw in the alert's window. Nothing is trained of it by itself."""
    workspace, actor = body.workspace or argument["workspace"], _acting(ACTOR, fact)
    like = opening.template(contexts, actor, workspace, body.project, body.task, body.assign_to)
    until = _as_of(fact)
    wanted = opening.Wanted(
        argument["workspace"], str(fact.data.get("endpoint")), until - clock.duration(body.window), until,
        body.sample.count, tuple(body.sample.by), tuple(body.sample.probabilities), tuple(body.sample.columns),
        seed=fact.seq,
    )  # fmt: skip
    opened_by = {key: argument[key] for key in ("rule", "fact", "author")} | {"monitor": fact.data.get("monitor")}
    name = f"{like.name[:200]}-{fact.seq}"
    made = opening.open_project(contexts, actor, workspace, like, wanted, name, opened_by)
    return f"labelling project {made.name} in {workspace}, {made.items} items"


def _webhook(contexts: Contexts, argument: dict[str, Any], fact: Fact, body: Any, key: str) -> str:
    with contexts.read(ACTOR, argument["workspace"]) as ctx:
        others = _others(ctx, fact)
    data = fact.data | ({"also": [each.data for each in others]} if others else {})
    to = f"rule:{argument['workspace']}/{argument['rule']}"
    call = webhooks.Call(argument["workspace"], argument["author"], key, to, data, _acting(ACTOR, fact))
    return webhooks.send(contexts, call, fact, body)


_VERBS = {
    "retrain": _retrain,
    "start_release": _start_release,
    "roll_back": _roll_back,
    "scale": _scale,
    "run_job": _run_job,
    "notify": _notify,
    "webhook": _webhook,
    "open_labeling": _open_labeling,
}


def _record(contexts: Contexts, argument: dict[str, Any], verbs: list[str], results: list[dict[str, Any]]) -> None:
    failed = any("error" in result for result in results)
    body = [json.loads(canonical.dumps({"do": verb, **result})) for verb, result in zip(verbs, results, strict=True)]
    with contexts.write(ACTOR, argument["workspace"]) as ctx:
        events.record(
            ctx, "rule.failed" if failed else "rule.done", f"rule:{argument['workspace']}/{argument['rule']}",
            fact=argument["fact"], results=body,
        )  # fmt: skip
