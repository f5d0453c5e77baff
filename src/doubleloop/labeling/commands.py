"""Opening projects, handing items out, keeping what people say, and making the new data version."""

from __future__ import annotations

from typing import Any

from doubleloop.base import actors, clock, errors
from doubleloop.catalog import commands as catalog
from doubleloop.catalog import model as assets
from doubleloop.data import commands as data
from doubleloop.data import contracts
from doubleloop.db.context import Contexts, Ctx
from doubleloop.events import commands as events
from doubleloop.frames import pictures
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.labeling import exporting, links, model, proposing, rules, sources, store
from doubleloop.specs import documents
from doubleloop.specs.kinds.labeling import OF_IMAGES, Labeling
from doubleloop.storage import ports as storage
from doubleloop.vault import queries as secrets


def create(
    contexts: Contexts, actor: actors.Actor, workspace: str, document: documents.Document,
    opened_by: dict[str, Any] | None = None,
) -> model.Project:  # fmt: skip
    """A new project with its items. The same file under the same name again is the same project.

    Raises Conflict when the name is another's, InvalidInput (with its line) for data that cannot be labelled.
    """
    spec: Labeling = document.model
    wire = document.to_wire()
    with contexts.read(actor, workspace) as ctx:
        identity.permit(ctx, Action.LABELING_WRITE, resource=_thing(spec.name))
        known = _same(ctx, spec.name, wire)
        if known is None:
            proposing.check(ctx, document)
            _check_secrets(ctx, document)
    if known is not None:
        return known
    source, items = sources.items(contexts, actor, workspace, document)
    number = sum(each.gold is None for each in items)
    with contexts.write(actor, workspace) as ctx:
        identity.permit(ctx, Action.LABELING_WRITE, resource=_thing(spec.name))
        known = _same(ctx, spec.name, wire)
        if known is not None:
            return known
        made = model.Project(
            workspace, spec.name, wire, model.Status.OPEN, source.version.id, spec.output, number, "",
            opened_by or {}, ctx.actor.id, ctx.now, None,
        )  # fmt: skip
        store.insert(ctx, made, items)
        catalog.link(ctx, source.version.id, "labelled", made.id)
        if spec.label_studio is not None:
            links.insert(ctx, workspace, spec.name)
    return made


def _check_secrets(ctx: Ctx, document: documents.Document) -> None:
    tool = document.model.label_studio
    for name in ("token", "webhook_token") if tool is not None else ():
        if getattr(tool, name):
            secrets.check(ctx, getattr(tool, name), document.source.where(f"label_studio.{name}"))


def _same(ctx: Ctx, name: str, wire: dict[str, Any]) -> model.Project | None:
    assert ctx.workspace is not None
    known = store.project(ctx, ctx.workspace, name)
    if known is not None and known.document != wire:
        raise errors.Conflict(
            f"There is a labelling project {name} of another file", cure="Use another name, or delete it first."
        )
    return known


def _thing(name: str) -> str:
    return f"labeling/{name}"


def find(ctx: Ctx, name: str) -> model.Project:
    """Raises NotFound. The caller permits."""
    assert ctx.workspace is not None
    found = store.project(ctx, ctx.workspace, name)
    if found is None:
        names = [each.name for each in store.projects(ctx, ctx.workspace)]
        cure = things.known(ctx, Action.LABELING_READ, "labeling", names)
        raise errors.NotFound(f"No labelling project is named '{name}' in {ctx.workspace}", cure=cure)
    return found


def spec_of(project: model.Project) -> Labeling:
    found: Labeling = documents.from_wire(project.document).model
    return found


def _item(ctx: Ctx, project: model.Project, number: int) -> model.Item:
    found = store.item(ctx, project, number)
    if found is None:
        raise errors.NotFound(f"{project.name} has no item {number}")
    return found


def _at_work(ctx: Ctx, name: str) -> tuple[model.Project, Labeling]:
    """The project, for one of its annotators. Raises NotPermitted, Conflict when it is closed."""
    identity.permit(ctx, Action.LABELING_LABEL, resource=_thing(name))
    project = find(ctx, name)
    spec = spec_of(project)
    groups = spec.annotators.groups
    if groups and not set(groups) & identity.memberships(ctx, ctx.actor.id):
        raise errors.NotPermitted(
            f"{name} is labelled by {', '.join(groups)}", cure="Ask for membership of one of these groups."
        )
    refuse_closed(project)
    store.lock(ctx, project)
    return find(ctx, name), spec


def refuse_closed(project: model.Project) -> None:
    """Raises Conflict."""
    if project.status is model.Status.CLOSED:
        raise errors.Conflict(
            f"{project.name} is closed", cure="Open another project with `doubleloop labeling create`."
        )


def next_item(ctx: Ctx, name: str) -> model.Item | None:
    """The item that the actor is to label now, held for them; None when nothing is left for them.

    What was handed out before and not answered is handed out again, as long as it is held.
    """
    project, spec = _at_work(ctx, name)
    me, until = ctx.actor.id, ctx.now + clock.duration(spec.hold)
    found = store.held(ctx, project, me)
    if found is None and spec.gold is not None:
        answered, gold = store.answered(ctx, project, me)
        if rules.gold_is_due(spec.gold.share, gold, answered):
            found = store.waiting(ctx, project, me, spec.annotators.per_item, gold=True)
    if found is None:
        found = store.waiting(ctx, project, me, spec.annotators.per_item)
    if found is not None:
        store.hold(ctx, project, found.number, me, until)
    return found


def label(ctx: Ctx, name: str, number: int, value: Any) -> model.Item:
    """What the actor says an item is; a later label of theirs stands over an earlier one.

    Raises InvalidInput for a label that cannot be, Conflict for an item that others have.
    """
    project, spec = _at_work(ctx, name)
    item = _answerable(ctx, project, spec, number)
    return _say(ctx, project, spec, item, model.Said.LABEL, rules.checked(spec, item, value))


def skip(ctx: Ctx, name: str, number: int) -> model.Item:
    """The actor cannot label it. Raises Conflict for an item that others have."""
    project, spec = _at_work(ctx, name)
    return _say(ctx, project, spec, _answerable(ctx, project, spec, number), model.Said.SKIP, None)


def undo(ctx: Ctx, name: str, number: int | None = None) -> model.Item:
    """Take back what the actor said of an item (default: the last), and hand it to them again. Raises Conflict."""
    project, spec = _at_work(ctx, name)
    at = number if number is not None else store.last_of(ctx, project, ctx.actor.id)
    if at is None or ctx.actor.id not in rules.standing(store.answers(ctx, project, at).get(at, ())):
        raise errors.Conflict("There is nothing of yours to undo")
    found = _say(ctx, project, spec, _item(ctx, project, at), model.Said.UNDO, None)
    store.hold(ctx, project, at, ctx.actor.id, ctx.now + clock.duration(spec.hold))
    return found


def _answerable(ctx: Ctx, project: model.Project, spec: Labeling, number: int) -> model.Item:
    item = _item(ctx, project, number)
    known = store.answers(ctx, project, number).get(number, [])
    if item.state is model.State.REVIEWED:
        raise errors.Conflict(f"Item {number} is reviewed already", cure="Review it again to change it.")
    mine = ctx.actor.id in rules.standing(known)
    if item.gold is None and not mine and not store.is_free(
        ctx, project, number, ctx.actor.id, spec.annotators.per_item
    ):  # fmt: skip
        raise errors.Conflict(f"Item {number} is others' now", cure="Take another with `doubleloop labeling next`.")
    return item


def _say(
    ctx: Ctx, project: model.Project, spec: Labeling, item: model.Item, said: model.Said, value: Any
) -> model.Item:  # fmt: skip
    store.say(ctx, project, item.number, said, value)
    if said is not model.Said.REVIEW:
        store.hold(ctx, project, item.number, ctx.actor.id, ctx.now, done=said is not model.Said.UNDO)
    if item.gold is None:
        said_of_it = store.answers(ctx, project, item.number)[item.number]
        store.set_state(ctx, project, item.number, rules.state(spec, said_of_it))
        settle(ctx, project, spec)
    return _item(ctx, project, item.number)


def settle(ctx: Ctx, project: model.Project, spec: Labeling) -> None:
    """The project's status, from the states of its items."""
    states = store.states(ctx, project)
    status = rules.status(spec, states)
    if status is not project.status:
        store.set_status(ctx, project, status, items=project.items, states=states)


def review(ctx: Ctx, name: str, number: int, value: Any = None, *, leave_out: bool = False) -> model.Item:
    """A second person's word, which stands over what was said: a label, or the one that was given (``value`` None).

    ``leave_out``: the item is no part of the result. Raises NotPermitted for who labelled it, InvalidInput when there
    is no label to agree with.
    """
    identity.permit(ctx, Action.LABELING_REVIEW, resource=_thing(name))
    project = find(ctx, name)
    refuse_closed(project)
    store.lock(ctx, project)
    project, spec, item = find(ctx, name), spec_of(project), _item(ctx, project, number)
    known = store.answers(ctx, project, number).get(number, [])
    if item.gold is not None or not known:
        raise errors.Conflict(
            f"Item {number} is not labelled yet", cure="See `doubleloop labeling items --state labelled`."
        )
    if ctx.actor.id in rules.standing(known):
        raise errors.NotPermitted(f"You labelled item {number} yourself", cure="Another person reviews it.")
    if leave_out:
        return _say(ctx, project, spec, item, model.Said.REVIEW, None)
    agreed = rules.final(spec, known) if value is None else rules.checked(spec, item, value)
    if agreed is None:
        raise errors.InvalidInput(
            f"Item {number} has no label that all agree on", cure="Give the right label, or leave the item out."
        )
    return _say(ctx, project, spec, item, model.Said.REVIEW, agreed)


def export(
    contexts: Contexts, actor: actors.Actor, workspace: str, name: str, format_: str = "csv", *, partial: bool = False
) -> assets.Asset:
    """A new version of the project's output with every item that has a label, and lineage to source and project.

    ``partial``: although items still wait. Raises Conflict when they do, or when nothing is labelled.
    """
    with contexts.read(actor, workspace) as ctx:
        identity.permit(ctx, Action.LABELING_WRITE, resource=_thing(name))
        project = find(ctx, name)
        spec = spec_of(project)
        exporting.check(spec, format_)
        items, answers = store.items(ctx, project), store.answers(ctx, project)
    _ready(project, partial)
    labelled = _results(spec, items, answers)
    if not labelled:
        raise errors.Conflict(f"Nothing of {name} has a label yet")
    kept, type_ = _keep(contexts, actor, spec, project, labelled, format_)
    judged = contracts.look(contexts, actor, workspace, project.output, kept)
    agreed = rules.agree(spec, {each.number: each.gold for each in items if each.gold is not None}, answers)
    with contexts.write(actor, workspace) as ctx:
        store.lock(ctx, find(ctx, name))
        _ready(find(ctx, name), partial)
        asset = data.add_version(
            ctx, project.output, kept, type_, description=f"labelled in {name}", rows=len(labelled),
            sources=(project.source, project.id), judged=judged,
        )  # fmt: skip
        store.set_status(
            ctx, project, model.Status.EXPORTED, data=asset.id, version=asset.version, labelled=len(labelled),
            left_out=project.items - len(labelled), alpha=agreed.alpha, overlap=agreed.overlap, format=format_,
            opened_by=project.opened_by, tell=[] if proposing.command(project, asset.id) else ["data_scientist"],
        )  # fmt: skip
        _propose(ctx, find(ctx, name), len(labelled))
    return asset


def _propose(ctx: Ctx, project: model.Project, labelled: int) -> None:
    """The data scientists are told that there is something to train on, and how to start it."""
    start = proposing.command(project, project.exported)
    if start is not None:
        events.record(
            ctx, "training.proposed", project.id, data=project.exported, labelled=labelled, start=start,
            model=project.opened_by.get("model"), monitor=project.opened_by.get("monitor"), tell=["data_scientist"],
        )  # fmt: skip


def _ready(project: model.Project, partial: bool) -> None:
    refuse_closed(project)
    if not partial and project.status in (model.Status.OPEN, model.Status.LABELLED):
        waiting = "labels" if project.status is model.Status.OPEN else "a review"
        raise errors.Conflict(
            f"Items of {project.name} wait for {waiting}", cure="Finish them, or export what there is with --partial."
        )


def _results(
    spec: Labeling, items: list[model.Item], answers: dict[int, list[model.Answer]]
) -> list[exporting.Labelled]:
    found = []
    for each in items:
        value = None if each.gold is not None else rules.final(spec, answers.get(each.number, []))
        if value is not None:
            found.append(exporting.Labelled(each, value))
    return sorted(found, key=lambda each: each.item.row)


def _keep(
    contexts: Contexts,
    actor: actors.Actor,
    spec: Labeling,
    project: model.Project,
    labelled: list[exporting.Labelled],
    format_: str,
) -> tuple[str, str]:
    """Stored content, and its type."""
    blobs = contexts.port(storage.Blobs)
    if spec.task in OF_IMAGES and format_ in ("coco", "yolo", "labelstudio"):
        labelled = [
            exporting.Labelled(each.item, each.value, pictures.size(blobs.read(each.item.content))) for each in labelled
        ]
    table = None
    if spec.column is not None and format_ in ("csv", "jsonl"):
        table = sources.frame(contexts, sources.reference(contexts, actor, project.source))
    made = exporting.files(spec, labelled, table, format_)
    if len(made) == 1:
        ((file, content),) = made.items()
        return data.store_bytes(blobs, file, content), "uri_file"
    entries = tuple(
        storage.Entry(path, blobs.put_bytes(content), len(content)) for path, content in sorted(made.items())
    )
    return f"tree:sha256:{blobs.put_entries(entries).sha256}", "uri_folder"


def close(ctx: Ctx, name: str) -> model.Project:
    """Nothing more is said of it; what was said stays. Raises NotFound."""
    identity.permit(ctx, Action.LABELING_WRITE, resource=_thing(name))
    project = find(ctx, name)
    if project.status is not model.Status.CLOSED:
        store.set_status(ctx, project, model.Status.CLOSED, states=store.states(ctx, project))
    return find(ctx, name)


def delete(ctx: Ctx, name: str) -> None:
    """With its items and all that was said of them; data versions that were made of it stay. Raises NotFound."""
    identity.permit(ctx, Action.LABELING_WRITE, resource=_thing(name))
    project = find(ctx, name)
    store.delete(ctx, project, before=dict(store.states(ctx, project)))
