"""Labels that were made elsewhere, in: each is matched to its item and held to the project's schema, then all are kept
at once, as a person's labels or as a model's proposals; of files with one wrong label nothing is kept."""

from __future__ import annotations

import binascii
import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from doubleloop.base import actors, errors, ids
from doubleloop.data import commands as data
from doubleloop.data import queries as datasets
from doubleloop.db.context import Contexts, Ctx
from doubleloop.events import commands as events
from doubleloop.frames import pictures
from doubleloop.identity import commands as identity
from doubleloop.identity import queries as identities
from doubleloop.identity.actions import Action
from doubleloop.labeling import commands, model, reading, rules, sources, store
from doubleloop.specs.kinds.labeling import OF_IMAGES, Labeling
from doubleloop.storage import ports as storage

MOST_BYTES = 200 * 1024 * 1024
# A shape may end this many pixels behind the image's edge: places are rounded.
EDGE = 0.51
_UPLOADED = re.compile(r"[0-9a-f]{8}-")


@dataclass(frozen=True)
class Imported:
    """``labels`` are new, ``unchanged`` were said before; ``left``: items that the files say nothing of."""

    labels: int
    unchanged: int
    left: int


def files(contexts: Contexts, actor: actors.Actor, workspace: str, reference: str) -> dict[str, bytes]:
    """Path → content of an uploaded file or folder (``tree:sha256:…``) or of a data asset. Raises InvalidInput."""
    if not reference.startswith("tree:sha256:"):
        with contexts.read(actor, workspace) as ctx:
            reference = datasets.resolve(ctx, reference).reference
    with tempfile.TemporaryDirectory(prefix="doubleloop-labels-") as scratch:
        name = reference.partition("/")[2].rpartition("/")[2] or "labels"
        place = data.materialise(contexts, reference, Path(scratch) / name)
        found = sorted(each for each in place.rglob("*") if each.is_file()) if place.is_dir() else [place]
        if sum(each.stat().st_size for each in found) > MOST_BYTES:
            raise errors.InvalidInput(f"The files have more than {MOST_BYTES} bytes", cure="Import them in parts.")
        root = place if place.is_dir() else place.parent
        return {each.relative_to(root).as_posix(): each.read_bytes() for each in found}


def import_(
    contexts: Contexts, actor: actors.Actor, workspace: str, name: str, given: reading.Files,
    format_: str | None = None, annotator: str | None = None, *, proposals: bool = False,
) -> Imported:  # fmt: skip
    """Keep what ``given`` (path → content) says of a project's items.

    As labels of ``annotator`` (default: the actor; nobody else's user name), or with ``proposals`` as the model's. The
    same files again change nothing. Raises InvalidInput with file and line, Conflict for items that are others' or
    reviewed.
    """
    with contexts.read(actor, workspace) as ctx:
        project = _permitted(ctx, name, annotator)
        known = [each for each in store.items(ctx, project) if each.gold is None]
    spec = commands.spec_of(project)
    format_ = reading.check(spec, format_ or reading.guess(given))
    incoming = reading.labels(spec, given, format_, proposals=proposals)
    said = matched(contexts, spec, known, incoming)
    with contexts.write(actor, workspace) as ctx:
        project = _permitted(ctx, name, annotator)
        store.lock(ctx, project)
        fresh = _propose(ctx, project, said) if proposals else keep(ctx, project, spec, said, annotator or actor.id)
        if fresh:
            events.record(
                ctx, "labeling.imported", project.id, labels=fresh, format=format_,
                annotator=None if proposals else annotator or actor.id, proposals=proposals,
            )  # fmt: skip
    return Imported(fresh, len(said) - fresh, len(known) - len(said))


def _permitted(ctx: Ctx, name: str, annotator: str | None) -> model.Project:
    identity.permit(ctx, Action.LABELING_WRITE, resource=f"labeling/{name}")
    project = commands.find(ctx, name)
    commands.refuse_closed(project)
    if annotator in (None, ctx.actor.id):
        return project
    if not ids.is_name(str(annotator)):
        raise errors.InvalidInput(f"'{str(annotator)[:80]}' is no name of an annotator", cure="Letters, digits, . _ -")
    if identities.is_user(ctx, str(annotator)):
        raise errors.NotPermitted(
            f"{annotator} is a user here, whose labels are their own to import", cure="Give another name."
        )
    return project


@dataclass(frozen=True)
class Said:
    value: Any
    where: errors.Where


def matched(
    contexts: Contexts, spec: Labeling, items: Sequence[model.Item], incoming: Sequence[model.Incoming]
) -> dict[int, Said]:  # fmt: skip
    """Number of an item → its label, as it is kept. Raises InvalidInput for one that is no item's, that the project
    cannot have, or that another one contradicts."""
    places, asked, found = _Places(spec, items), Counter[tuple[str, str]](), dict[int, Said]()
    for each in incoming:
        # Of items that show the same, each occurrence is the next one's.
        numbers = places.find(each)
        item = places.items[numbers[min(asked[each.by, each.key], len(numbers) - 1)]]
        asked[each.by, each.key] += 1
        said = Said(value(contexts.port(storage.Blobs), spec, item, each), each.where)
        before = found.setdefault(item.number, said)
        if before.value != said.value:
            raise errors.InvalidInput(
                f"Item {item.number} is labelled twice, and differently: also in {before.where}", where=each.where,
                cure="Leave one of them out, or import them under two names.",
            )  # fmt: skip
    return found


class _Places:
    """Items by what files name them by."""

    def __init__(self, spec: Labeling, items: Sequence[model.Item]) -> None:
        self.items = {each.number: each for each in items}
        self._of_images = spec.task in OF_IMAGES
        self._known: dict[tuple[str, str], list[int]] = {}
        for each in sorted(items, key=lambda each: each.row):
            for key in self._keys(each):
                self._known.setdefault(key, []).append(each.number)

    def _keys(self, item: model.Item) -> list[tuple[str, str]]:
        if not self._of_images:
            return [
                ("item", str(item.number)), ("content", item.content), ("words", re.sub(r"\s+", "", item.content)),
            ]  # fmt: skip
        path = item.path or f"{item.content}.image"
        return [
            ("item", str(item.number)), ("path", path), ("stem", path.rpartition(".")[0] or path),
            ("name", PurePosixPath(path).name), ("hash", item.content),
        ]  # fmt: skip

    def find(self, each: model.Incoming) -> list[int]:
        found = self._known.get((each.by, each.key))
        if found is None and each.by == "path":
            found = self._named(each.key)
        if found is None:
            shown = " ".join(each.key.split())[:80]
            raise errors.InvalidInput(
                f"No item of the project is '{shown}'", where=each.where, cure="See `doubleloop labeling items`."
            )
        return found

    def _named(self, key: str) -> list[int] | None:
        """An image by the end of its path, where that is only one's, or by its bytes."""
        name = PurePosixPath(key[-1000:]).name
        for each in (name, _UPLOADED.sub("", name, count=1)):
            found = self._known.get(("name", each), [])
            if len(found) == 1:
                return found
        try:
            return self._known.get(("hash", hashlib.sha256(sources.decoded(key)).hexdigest()))
        except (binascii.Error, ValueError):
            return None


def value(blobs: storage.Blobs, spec: Labeling, item: model.Item, each: model.Incoming) -> Any:
    """A label as it is kept. Raises InvalidInput, with its place, for one that the project cannot have."""
    given = each.value
    try:
        if each.by == "words":
            given = _spread(item.content, given)
        if each.text is not None:
            given = _in_characters(item.content, given, each.text)
        if spec.task == "image_segmentation" and isinstance(given, list):
            size = pictures.size(blobs.read(item.content))
            given = _in_pixels(given, size, each.decimals)
            kept = rules.checked(spec, item, given)
            _refuse_outside(kept, size)
            return kept
        return rules.checked(spec, item, given)
    except errors.InvalidInput as error:
        error.where = each.where
        raise


def _spread(text: str, spans: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Places among all characters, of places among those that are no space."""
    at = [place for place, sign in enumerate(text) if not sign.isspace()]
    return [{**span, "start": at[span["start"]], "end": at[span["end"] - 1] + 1} for span in spans]


def _in_characters(text: str, spans: list[dict[str, Any]], parts: Sequence[str]) -> list[dict[str, Any]]:
    """Spans whose places fit the text that is told with them, counted in characters or in halves as a browser does."""
    found = []
    for span, part in zip(spans, parts, strict=True):
        halves = text.encode("utf-16-le")
        wide = [len(halves[: 2 * span[side]].decode("utf-16-le", "ignore")) for side in ("start", "end")]
        for start, end in ((span["start"], span["end"]), wide):
            if not part or "".join(text[start:end].split()) == "".join(part.split()):
                found.append({**span, "start": start, "end": end})
                break
        else:
            raise errors.InvalidInput(f"At {span['start']} to {span['end']} of the text stands not '{part[:80]}'")
    return found


def _in_pixels(shapes: Sequence[Any], size: tuple[int, int], decimals: int | None) -> list[Any]:
    if decimals is None:
        return list(shapes)

    def scaled(place: Sequence[float]) -> list[float]:
        return [round(share * size[index % 2], decimals) for index, share in enumerate(place)]

    return [
        {**each, "box": scaled(each["box"])}
        if "box" in each
        else {**each, "polygon": list(map(scaled, each["polygon"]))}
        for each in shapes
    ]


def _refuse_outside(shapes: Sequence[dict[str, Any]], size: tuple[int, int]) -> None:
    for each in shapes:
        x, y, wide, high = rules.box(each)
        if x + wide > size[0] + EDGE or y + high > size[1] + EDGE:
            raise errors.InvalidInput(
                f"A shape reaches to {x + wide:g}, {y + high:g}, and the image has {size[0]} x {size[1]} pixels"
            )


def keep(ctx: Ctx, project: model.Project, spec: Labeling, said: dict[int, Said], annotator: str) -> int:
    """As labels of ``annotator``; returns how many are new. The caller permits and locks. Raises Conflict."""
    answers = store.answers(ctx, project)
    items = {each.number: each for each in store.items(ctx, project)}
    fresh = 0
    for number, each in said.items():
        known = answers.get(number, [])
        mine = rules.standing(known).get(annotator)
        if mine is not None and mine.said is model.Said.LABEL and mine.value == each.value:
            continue
        if items[number].state is model.State.REVIEWED:
            raise _taken(f"Item {number} is reviewed already", each.where)
        if mine is None and not store.is_free(ctx, project, number, annotator, spec.annotators.per_item):
            raise _taken(f"Item {number} is others'", each.where)
        store.say(ctx, project, number, model.Said.LABEL, each.value, annotator)
        store.hold(ctx, project, number, annotator, ctx.now, done=True)
        now = model.Answer(number, annotator, model.Said.LABEL, each.value, ctx.now)
        store.set_state(ctx, project, number, rules.state(spec, [*known, now]))
        fresh += 1
    if fresh:
        commands.settle(ctx, project, spec)
    return fresh


def _taken(what: str, where: errors.Where) -> errors.Conflict:
    found = errors.Conflict(what, cure="Leave it out of the files, or open a project with `annotators: {per_item: 2}`.")
    found.where = where
    return found


def _propose(ctx: Ctx, project: model.Project, said: dict[int, Said]) -> int:
    known = {each.number: each.prelabel for each in store.items(ctx, project)}
    fresh = {number: each.value for number, each in said.items() if known[number] != each.value}
    for number, value in fresh.items():
        store.set_prelabel(ctx, project, number, value)
    return len(fresh)
