"""Carrying out what a rule says, one action after the other; each is a durable step of its own."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import httpx

from doubleloop.automation import commands, messages
from doubleloop.base import actors, canonical, clock, errors, ids, masking
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
from doubleloop.monitoring import commands as monitoring
from doubleloop.outbound import commands as outbound
from doubleloop.releases import commands as releases
from doubleloop.specs import documents
from doubleloop.vault import commands as vault
from doubleloop.workspaces import declared
from doubleloop.workspaces import queries as workspaces

ACTOR = actors.service("automation")
ATTEMPTS = 3
PAUSE_SECONDS = 5.0


async def act(flow: flows.Flow, argument: dict[str, Any]) -> Any:
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


WORKFLOWS: dict[str, flows.Body] = {"automation.act": act}


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
            contexts, ACTOR, workspace, str(fact.data.get("endpoint")), body.data.asset, target=body.data.target,
            since=until - clock.duration(body.data.window), until=until, label=_label(body.data.asset),
        )  # fmt: skip
        trigger["data"] = collected.asset.id
        if body.data.input:
            inputs[body.data.input] = {
                "type": "uri_file",
                "path": f"azureml:{collected.asset.name}:{collected.asset.version}",
            }
    with contexts.write(ACTOR, workspace) as ctx:
        release = releases.start(
            ctx, body.release, trigger={**trigger, **({"inputs": inputs} if inputs else {})}, id=f"release-{key}"
        )
    return f"release {release.id}"


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
    with contexts.write(ACTOR, argument["workspace"]) as ctx:
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
    with contexts.write(commands.author(argument["author"]), body.workspace or argument["workspace"]) as ctx:
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
        targets = declared.addresses(ctx, list(body.to))
        allowed = workspaces.reach(ctx)
    return messages.send(targets, title, text, allowed)


def _others(ctx: Ctx, fact: Fact) -> list[Fact]:
    """The other alerts of the run that the fact is of: the rule acts on all of them at once."""
    return [each for each in commands.occasion(ctx, fact) if each.seq != fact.seq]


def _webhook(contexts: Contexts, argument: dict[str, Any], fact: Fact, body: Any, key: str) -> str:
    """The fact as a CloudEvent, with the secrets that its address and headers name filled in; signed when a secret is
    named. A 5xx or no answer is tried again. What is told of it afterwards has no value of a secret in it."""
    workspace, to = argument["workspace"], f"rule:{argument['workspace']}/{argument['rule']}"
    texts = {"url": body.url, **{f"header {name}": text for name, text in body.headers.items()}}
    if body.secret:
        texts["secret"] = f"${{{{secrets.{body.secret}}}}}"
    filled, values = vault.fill(contexts, ACTOR, argument["author"], workspace, texts, to)
    with contexts.read(ACTOR, workspace) as ctx:
        allowed, others = workspaces.reach(ctx), _others(ctx, fact)
    data = fact.data | ({"also": [each.data for each in others]} if others else {})
    event = {
        "specversion": "1.0", "id": key, "source": f"doubleloop/{workspace}", "type": f"doubleloop.{fact.type}",
        "time": clock.iso(fact.at), "subject": fact.subject, "datacontenttype": "application/json", "data": data,
    }  # fmt: skip
    content = canonical.dumps(event).encode()
    headers = {"content-type": "application/cloudevents+json"}
    headers |= {name: _header(name, filled[f"header {name}"]) for name in body.headers}
    if body.secret:
        digest = hmac.new(filled["secret"].encode(), content, hashlib.sha256).hexdigest()
        headers["x-doubleloop-signature"] = f"sha256={digest}"
    try:
        return _post(filled["url"], content, headers, clock.duration(body.timeout).total_seconds(), allowed, body.url)
    except (errors.DoubleloopError, httpx.HTTPError, httpx.InvalidURL) as error:
        again = isinstance(error, errors.Unavailable | httpx.HTTPError)
        told = _masked(str(error) or type(error).__name__, values)
        raise (errors.Unavailable if again else errors.Failed)(told) from None


def _post(
    url: str, content: bytes, headers: dict[str, str], seconds: float, allowed: Sequence[str], written: str
) -> str:
    with outbound.guarded(allowed, url):
        answer = httpx.post(url, content=content, headers=headers, timeout=seconds)
    if answer.status_code >= 500:
        raise errors.Unavailable(f"{written} answered {answer.status_code}")
    if answer.status_code >= 400:
        raise errors.Failed(f"{written} answered {answer.status_code}: {answer.text[:200]}")
    return f"{written} answered {answer.status_code}"


def _header(name: str, text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise errors.InvalidInput(f"The header {name} would hold a line break or what is not ASCII")
    return text.strip()


def _masked(text: str, values: list[str]) -> str:
    masker = masking.Masker(values)
    return (masker.feed(text.encode()) + masker.end()).decode(errors="replace")


_VERBS = {
    "retrain": _retrain,
    "roll_back": _roll_back,
    "run_job": _run_job,
    "notify": _notify,
    "webhook": _webhook,
}


def _record(contexts: Contexts, argument: dict[str, Any], verbs: list[str], results: list[dict[str, Any]]) -> None:
    failed = any("error" in result for result in results)
    body = [json.loads(canonical.dumps({"do": verb, **result})) for verb, result in zip(verbs, results, strict=True)]
    with contexts.write(ACTOR, argument["workspace"]) as ctx:
        events.record(
            ctx, "rule.failed" if failed else "rule.done", f"rule:{argument['workspace']}/{argument['rule']}",
            fact=argument["fact"], results=body,
        )  # fmt: skip
