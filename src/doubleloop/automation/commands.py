"""Putting schedules and rules in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from doubleloop.automation import defaults, judging, model, store
from doubleloop.base import actors, errors, ids
from doubleloop.db.context import Ctx
from doubleloop.events import commands as events
from doubleloop.events import queries as facts
from doubleloop.events import types
from doubleloop.events.model import Fact
from doubleloop.identity import commands as identity
from doubleloop.identity import queries as identities
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.identity.model import Persona
from doubleloop.jobs import commands as jobs
from doubleloop.jobs import queries as past_jobs
from doubleloop.outbound import commands as outbound
from doubleloop.releases import queries as releases
from doubleloop.specs import documents, triggers
from doubleloop.specs import model as specs
from doubleloop.vault import queries as secrets
from doubleloop.workspaces import declared
from doubleloop.workspaces import queries as workspaces

# One run raises fewer alerts than this: two for each metric of each signal at most.
NEAR = 500
# In ``notify``: the groups that have a persona.
PERSONA = "persona:"


def put_schedule(ctx: Ctx, document: documents.Document) -> model.Schedule:
    """Create or replace a job's schedule. Raises InvalidInput for one that starts no job."""
    identity.permit(ctx, Action.SCHEDULE_WRITE, resource=f"schedule/{document.model.name}")
    identity.permit(ctx, Action.JOB_SUBMIT)  # what it starts is started for its author
    assert ctx.workspace is not None
    document = _with_past_job(ctx, document)
    spec = document.model
    before = store.schedule(ctx, ctx.workspace, spec.name)
    made = model.Schedule(
        ctx.workspace, spec.name, document.to_wire(), True,
        triggers.first_fire(spec.trigger, ctx.now, document.source.where("trigger")),
        before.last_at if before else None, before.last_run if before else None, ctx.actor.id,
        before.created_at if before else ctx.now,
    )  # fmt: skip
    if before and before.document == made.document and before.enabled:
        return before
    store.put_schedule(ctx, made)
    told = {"before": _said(before), "after": _said(made)}
    events.record(ctx, "schedule.changed" if before else "schedule.created", made.id, **told)
    return made


def _with_past_job(ctx: Ctx, document: documents.Document) -> documents.Document:
    """A job that ran before is started as it was submitted then, whatever becomes of its record. Raises NotFound."""
    job = documents.scheduled_job(document)
    if not isinstance(job, str):
        return document
    try:
        return documents.starting(document, past_jobs.document(ctx, job))
    except errors.NotFound as error:
        raise errors.NotFound(error.what, where=document.where("create_job"), cure=error.cure) from error


def get_schedule(ctx: Ctx, name: str) -> model.Schedule:
    assert ctx.workspace is not None
    found = store.schedule(ctx, ctx.workspace, name)
    if found is None:
        names = [each.name for each in store.schedules(ctx, ctx.workspace)]
        cure = things.known(ctx, Action.SCHEDULE_READ, "schedule", names)
        raise errors.NotFound(f"No schedule is named '{name}' in {ctx.workspace}", cure=cure)
    return found


def enable_schedule(ctx: Ctx, name: str, enabled: bool) -> model.Schedule:
    identity.permit(ctx, Action.SCHEDULE_WRITE)
    found = get_schedule(ctx, name)
    if found.enabled != enabled:
        spec = documents.from_wire(found.document).model
        next_at = triggers.next_fire(spec.trigger, ctx.now) if enabled else None
        store.update_schedule(ctx, found.workspace, name, enabled=enabled, next_at=next_at)
        events.record(ctx, f"schedule.{'enabled' if enabled else 'disabled'}", found.id)
    return get_schedule(ctx, name)


def delete_schedule(ctx: Ctx, name: str) -> None:
    identity.permit(ctx, Action.SCHEDULE_WRITE)
    found = get_schedule(ctx, name)
    store.delete_schedule(ctx, found.workspace, name)
    events.record(ctx, "schedule.deleted", found.id, before=_said(found))


def fire_due(ctx: Ctx) -> list[str]:
    """Submit the jobs whose time has come, each for its schedule's author; returns the jobs' ids.

    A schedule whose job is refused (its author lost the right, a component is gone) says so in a fact and goes on.
    """
    started = []
    for schedule in store.due(ctx, ctx.now):
        assert schedule.next_at is not None
        document = documents.from_wire(schedule.document)
        id_ = ids.derived(f"{schedule.name[:40]}-{schedule.next_at:%Y%m%dT%H%M%S}", schedule.id)
        author = replace(ctx.actor, id=schedule.created_by, kind=_kind(schedule.created_by))
        place = ctx.in_workspace(schedule.workspace).acting_as(author)
        try:
            with ctx.tx.begin_nested():
                job = documents.scheduled_job(document)
                assert isinstance(job, specs.Document)  # a past job's document is kept in the schedule
                jobs.submit(place, job, id=id_, purpose={"schedule": schedule.name})
            started.append(id_)
        except errors.DoubleloopError as error:
            events.record(ctx.in_workspace(schedule.workspace), "schedule.failed", schedule.id, error=str(error))
        # What was missed while the system was down is one run, not many.
        store.update_schedule(
            ctx, schedule.workspace, schedule.name, last_at=schedule.next_at, last_run=id_,
            next_at=triggers.next_fire(document.model.trigger, ctx.now),
        )  # fmt: skip
    return started


def author(user: str) -> actors.Actor:
    """Who wrote a schedule or a rule."""
    return actors.Actor(user, _kind(user))


def _kind(user: str) -> actors.ActorKind:
    return actors.ActorKind.SERVICE if user.startswith("service:") else actors.ActorKind.PERSON


def put_rule(ctx: Ctx, document: documents.Document) -> model.Rule:
    """Create or replace a rule. The system does what it says, as long as its author may do it by hand."""
    identity.permit(ctx, Action.RULE_WRITE, resource=f"rule/{document.model.name}")
    assert ctx.workspace is not None
    spec = document.model
    check_heard(spec.on, document)
    for index, action in enumerate(spec.do):
        permit_action(ctx, action)
        if action.verb == "webhook":
            _check_webhook(ctx, action.webhook, document, f"do.{index}.webhook")
        if action.verb == "notify":
            _check_notify(ctx, action.notify, document, f"do.{index}.notify")
    before = store.rule(ctx, ctx.workspace, spec.name)
    made = model.Rule(
        ctx.workspace, spec.name, document.to_wire(), bool(spec.enabled), before.last_fired_at if before else None,
        ctx.actor.id, before.created_at if before else ctx.now,
    )  # fmt: skip
    if before and before.document == made.document and not before.is_default:
        return before
    store.put_rule(ctx, made)
    told = {"before": _said(before), "after": _said(made)}
    events.record(ctx, "rule.changed" if before else "rule.created", made.id, on=spec.on, **told)
    defaults.give_way(ctx, made)
    return made


def check_heard(on: str, document: documents.Document) -> None:
    """Raise InvalidInput for a fact that there is not, or that rules do not hear: the rule would never act."""
    meant = types.heard(on)
    if meant and all(each.startswith(judging.OWN_FACTS) for each in meant):
        raise errors.InvalidInput(
            f"Rules do not hear of '{on}': it is what rules and schedules do themselves",
            where=document.source.where("on"),
            cure=f"Let a notification target of the setup file hear of it: events: ['{on}'].",
        )  # fmt: skip
    if not meant:
        near = types.near(on)
        raise errors.InvalidInput(
            f"There is no fact '{on}'", where=document.source.where("on"),
            cure=f"Did you mean {' or '.join(near)}?" if near else "docs/facts.md tells of all facts.",
        )  # fmt: skip


def _check_notify(ctx: Ctx, action: Any, document: documents.Document, place: str) -> None:
    """Raise InvalidInput for ``persona:`` and what is none, and for a word that is neither a target nor an address."""
    targets = declared.every(ctx, "notification")
    for target in action.to:
        name = target.removeprefix(PERSONA)
        if name != target and name not in list(Persona):
            raise errors.InvalidInput(
                f"'{name}' is not a persona", where=document.source.where(f"{place}.to"),
                cure=f"One of {', '.join(Persona)}.",
            )  # fmt: skip
        if name == target and target not in targets and "@" not in target and "://" not in target:
            there = f"The targets are {', '.join(sorted(targets))}." if targets else "No set-up names a target yet."
            raise errors.InvalidInput(
                f"'{target}' is neither a notification target nor an address",
                where=document.source.where(f"{place}.to"), cure=f"{there} An address is a@example.com or json://…",
            )  # fmt: skip


def recipients(ctx: Ctx, names: Sequence[str]) -> list[str]:
    """Targets and addresses of a ``notify``, with ``persona:NAME`` as the targets of its groups in the workspace.

    Raises InvalidInput when no group of the persona has one: then nobody would be told.
    """
    found: list[str] = []
    for name in names:
        if not name.startswith(PERSONA):
            found.append(name)
            continue
        targets = sorted(identities.told(ctx, [name.removeprefix(PERSONA)], ctx.workspace))
        if not targets:
            raise errors.InvalidInput(
                f"No group of the persona {name.removeprefix(PERSONA)} has a notification target in {ctx.workspace}",
                cure="Give the group `notify: TARGET` in the setup file.",
            )
        found += targets
    return list(dict.fromkeys(found))


def _check_webhook(ctx: Ctx, body: Any, document: documents.Document, place: str) -> None:
    """Raise NotFound for a secret that is not there, NotPermitted for an address that may not be reached."""
    where = document.source.where
    secrets.check_within(ctx, body.url, where(f"{place}.url"))
    for name, text in body.headers.items():
        secrets.check_within(ctx, text, where(f"{place}.headers.{name}"))
    if body.secret:
        secrets.check(ctx, f"${{{{secrets.{body.secret}}}}}", where(f"{place}.secret"))
    if "${{" not in body.url:
        _check_reach(ctx, body.url, where(f"{place}.url"))


def _check_reach(ctx: Ctx, url: str, where: errors.Where | None) -> None:
    """What can be told of an address before it is looked up is told with its line."""
    try:
        outbound.refuse_literal(workspaces.reach(ctx), url)
    except errors.DoubleloopError as error:
        error.where = where
        raise


def _said(kept: model.Schedule | model.Rule | None) -> Any:
    """What a file said, as facts tell it."""
    return None if kept is None else specs.plain(documents.from_wire(kept.document).model)


def permit_action(ctx: Ctx, action: Any) -> None:
    """Raise NotPermitted unless the context's actor may do by hand what an item of ``do`` does.

    Asked when the rule is written, and again of its author each time it acts: rights may have gone in between.
    """
    body = getattr(action, action.verb)
    if action.verb == "run_job":
        identity.permit(ctx, Action.JOB_SUBMIT, body.workspace)
    elif action.verb == "open_labeling":
        identity.permit(ctx, Action.ENDPOINT_READ)
        for needed in (Action.LABELING_WRITE, Action.DATA_WRITE):
            identity.permit(ctx, needed, body.workspace)
    elif action.verb in ("roll_back", "scale"):
        identity.permit(ctx, Action.ENDPOINT_WRITE)
    elif action.verb == "start_release":
        for workspace in releases.first_workspaces(ctx, body.release):
            identity.permit(ctx, Action.RELEASE_START, workspace)
    elif action.verb == "retrain":
        # A definition that is not there yet is asked about when the rule acts.
        for workspace in releases.first_workspaces(ctx, body.release):
            identity.permit(ctx, Action.RELEASE_START, workspace)
        if body.data is not None:
            identity.permit(ctx, Action.ENDPOINT_READ)


def occasion(ctx: Ctx, fact: Fact) -> list[Fact]:
    """All facts that tell of the same thing: the alerts of one run of a monitor; otherwise the fact alone.

    A run raises its alerts in one transaction, so that all of them are there when the first is heard.
    """
    run = fact.data.get("run")
    if fact.type != "monitor.alert" or not run:
        return [fact]
    near = facts.facts(
        ctx, types=(fact.type,), subject=fact.subject, workspace=fact.workspace, after=max(0, fact.seq - NEAR)
    )
    return [each for each in near if each.data.get("run") == run]


def get_rule(ctx: Ctx, name: str) -> model.Rule:
    assert ctx.workspace is not None
    found = store.rule(ctx, ctx.workspace, name)
    if found is None:
        names = [each.name for each in store.rules(ctx, ctx.workspace)]
        cure = things.known(ctx, Action.RULE_READ, "rule", names)
        raise errors.NotFound(f"No rule is named '{name}' in {ctx.workspace}", cure=cure)
    return found


def delete_rule(ctx: Ctx, name: str) -> None:
    identity.permit(ctx, Action.RULE_WRITE)
    found = get_rule(ctx, name)
    store.delete_rule(ctx, found.workspace, name)
    events.record(ctx, "rule.deleted", found.id, before=_said(found))
