"""Looking at projects: how far they are, how far people agree, one item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from doubleloop.base import errors, paging
from doubleloop.db.context import Ctx
from doubleloop.frames import pictures
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.labeling import commands, model, rules, store
from doubleloop.storage import ports as storage


def projects(ctx: Ctx) -> list[model.Project]:
    """Newest first."""
    sees = things.seen(ctx, Action.LABELING_READ, "labeling")
    assert ctx.workspace is not None
    return [each for each in store.projects(ctx, ctx.workspace) if sees(each.name)]


def get(ctx: Ctx, name: str) -> model.Project:
    """Raises NotFound."""
    identity.permit(ctx, Action.LABELING_READ, resource=f"labeling/{name}")
    return commands.find(ctx, name)


def states(ctx: Ctx, project: model.Project) -> dict[str, int]:
    """Number of items by state, gold questions left out."""
    return store.states(ctx, project)


def progress(ctx: Ctx, name: str) -> model.Progress:
    """How far a project is, and how far people agree. Raises NotFound."""
    project = get(ctx, name)
    spec = commands.spec_of(project)
    gold = store.gold(ctx, project)
    answers = store.answers(ctx, project)
    people: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    for number, said in answers.items():
        if number not in gold:
            people.update(user for user, each in rules.standing(said).items() if each.said is model.Said.LABEL)
            labels.update(rules.names(rules.final(spec, said)))
    return model.Progress(states(ctx, project), dict(people), dict(labels), rules.agree(spec, gold, answers))


def items(
    ctx: Ctx, name: str, state: str | None = None, after: str | None = None, limit: int = paging.DEFAULT_LIMIT
) -> paging.Page[model.Item]:
    """By number, without what is known of gold questions. Raises NotFound, InvalidInput."""
    project = get(ctx, name)
    if state is not None and state not in list(model.State):
        raise errors.InvalidInput(f"'{state[:80]}' is not a state", cure=f"One of {', '.join(model.State)}.")
    limit = min(max(limit, 1), paging.MAX_LIMIT)
    wanted = [each for each in model.State if state in (None, each)]
    if state == model.State.ASSIGNED:
        wanted = [model.State.QUEUED]
    found = store.items(ctx, project, wanted, int(after or 0), limit + 1)
    return paging.Page(found[:limit], str(found[limit - 1].number) if len(found) > limit else None)


def item(ctx: Ctx, name: str, number: int) -> model.Item:
    """Raises NotFound."""
    project = get(ctx, name)
    found = store.item(ctx, project, number)
    if found is None:
        raise errors.NotFound(f"{name} has no item {number}")
    return found


def held(ctx: Ctx, name: str) -> model.Item | None:
    """What the actor was handed and has not answered, while it is theirs. Raises NotFound."""
    identity.permit(ctx, Action.LABELING_LABEL, resource=f"labeling/{name}")
    return store.held(ctx, commands.find(ctx, name), ctx.actor.id)


def reviewable(ctx: Ctx, name: str) -> list[model.Item]:
    """Items that wait for a review, and that the actor did not label. Raises NotFound."""
    project = get(ctx, name)
    wanted = rules.to_review(commands.spec_of(project))
    found = store.items(ctx, project, wanted) if wanted else []
    answers = store.answers(ctx, project) if found else {}
    return [each for each in found if ctx.actor.id not in rules.standing(answers.get(each.number, []))]


def said(ctx: Ctx, name: str, number: int) -> Sequence[model.Answer]:
    """All that was said of an item, oldest first. Raises NotFound."""
    project = get(ctx, name)
    return store.answers(ctx, project, item(ctx, name, number).number).get(number, [])


def content(ctx: Ctx, name: str, number: int) -> tuple[bytes, str]:
    """The bytes of an item, and their media type. Raises NotFound."""
    found = item(ctx, name, number)
    if found.kind == "text":
        return found.content.encode(), "text/plain; charset=utf-8"
    image = ctx.port(storage.Blobs).read(found.content)
    return image, pictures.media_type(image)
