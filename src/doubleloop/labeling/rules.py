"""What may be said of an item, what follows from what was said, and how far people agree: pure functions."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from doubleloop.base import canonical, errors
from doubleloop.labeling.model import Agreement, Answer, Item, Said, State, Status
from doubleloop.specs.kinds.labeling import Labeling
from doubleloop.statistics import agreement

# Boxes of two people are one answer from here on (mean intersection over union), as in PASCAL VOC's matching.
SAME_BOXES = 0.5


def checked(spec: Labeling, item: Item, value: Any) -> Any:
    """A label as it is kept. Raises InvalidInput for one that the project's task cannot have."""
    names = [each.name for each in spec.labels]
    if spec.task in ("image_classification", "text_classification"):
        return _name(names, value)
    if not isinstance(value, list):
        raise errors.InvalidInput(f"A label of {spec.task} is a list, not {str(value)[:80]!r}", cure=_SHAPES[spec.task])
    if spec.task == "ranking":
        if sorted(map(str, value)) != sorted(names):
            raise errors.InvalidInput("A ranking names every label once", cure=f"Order these: {', '.join(names)}.")
        return [str(each) for each in value]
    part = _span if spec.task == "entity_spans" else _shape
    found = sorted((part(names, item, each) for each in value), key=canonical.dumps)
    if spec.task == "entity_spans":
        _refuse_overlapping(found)
    return found


def _refuse_overlapping(spans: Sequence[Mapping[str, Any]]) -> None:
    ordered = sorted(spans, key=lambda each: (each["start"], each["end"]))
    for one, other in itertools.pairwise(ordered):
        if other["start"] < one["end"]:
            raise errors.InvalidInput(
                f"Two spans overlap: {one['start']} to {one['end']} ({one['label']}) and {other['start']} to "
                f"{other['end']} ({other['label']})",
                cure="A character belongs to one span.",
            )


_SHAPES = {
    "ranking": "Give the labels in their order, the best first.",
    "entity_spans": 'Give [{"start": 0, "end": 4, "label": NAME}]: characters, the end not counted.',
    "image_segmentation": 'Give [{"label": NAME, "box": [x, y, width, height]}] or "polygon": [[x, y], ...]: pixels.',
}


def _name(names: Sequence[str], value: Any) -> str:
    if not isinstance(value, str) or value not in names:
        raise errors.InvalidInput(
            f"'{str(value)[:80]}' is no label of the project", cure=f"One of {', '.join(names)}."
        )  # fmt: skip
    return value


def _fields(value: Any, *known: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not set(value) <= set(known):
        raise errors.InvalidInput(f"'{str(value)[:80]}' is not of the form {{{', '.join(known)}}}")
    return value


def _span(names: Sequence[str], item: Item, value: Any) -> dict[str, Any]:
    found = _fields(value, "start", "end", "label")
    start, end = found.get("start"), found.get("end")
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(item.content):
        raise errors.InvalidInput(
            f"Characters {start} to {end} are not in the text, which has {len(item.content)}",
            cure=_SHAPES["entity_spans"],
        )
    return {"start": start, "end": end, "label": _name(names, found.get("label"))}


def _shape(names: Sequence[str], item: Item, value: Any) -> dict[str, Any]:
    found = _fields(value, "label", "box", "polygon")
    label = _name(names, found.get("label"))
    box, polygon = found.get("box"), found.get("polygon")
    if box is not None and polygon is None and _numbers(box, 4) and box[2] > 0 and box[3] > 0:
        return {"label": label, "box": [float(each) for each in box]}
    if box is None and _outline(polygon):
        return {"label": label, "polygon": [[float(each) for each in point] for point in polygon]}
    raise errors.InvalidInput(
        f"'{str(value)[:80]}' is neither a box nor a polygon", cure=_SHAPES["image_segmentation"]
    )  # fmt: skip


def _outline(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and len(value) >= 3 and all(_numbers(point, 2) for point in value)


def _numbers(value: Any, count: int) -> bool:
    if not isinstance(value, list) or len(value) != count:
        return False
    return all(type(each) in (int, float) and math.isfinite(each) and each >= 0 for each in value)


def box(shape: Mapping[str, Any]) -> list[float]:
    """``[x, y, width, height]`` of a box, or around a polygon."""
    if "box" in shape:
        return [float(each) for each in shape["box"]]
    across, down = zip(*shape["polygon"], strict=True)
    return [min(across), min(down), max(across) - min(across), max(down) - min(down)]


def corners(shape: Mapping[str, Any]) -> list[list[float]]:
    """``[[x, y], …]`` of a polygon, or of a box."""
    if "polygon" in shape:
        return [[float(each) for each in point] for point in shape["polygon"]]
    x, y, wide, high = box(shape)
    return [[x, y], [x + wide, y], [x + wide, y + high], [x, y + high]]


def names(value: Any) -> list[str]:
    """The labels that a label is made of: one for a class, one for each span or box, the first of a ranking."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    return [str(each["label"]) for each in value] if value and isinstance(value[0], dict) else list(value[:1])


def overlap(task: str, one: Any, other: Any) -> float:
    """How alike two labels are, 0 to 1."""
    if task == "entity_spans":
        return agreement.span_overlap(one, other)
    if task == "image_segmentation":
        if not any("polygon" in each for each in [*one, *other]):
            boxes = ([(each["label"], box(each)) for each in side] for side in (one, other))
            return agreement.boxes_overlap(*boxes)
        pair = ([(each["label"], corners(each)) for each in side] for side in (one, other))
        return agreement.outlines_overlap(*pair)
    return float(one == other)


def alike(task: str, one: Any, other: Any) -> bool:
    """Whether two people said the same."""
    return overlap(task, one, other) >= (SAME_BOXES if task == "image_segmentation" else 1.0)


def standing(answers: Iterable[Answer]) -> dict[str, Answer]:
    """Of one item: each person's newest label or skip; what was undone is gone."""
    found: dict[str, Answer] = {}
    for each in answers:
        if each.said is Said.UNDO:
            found.pop(each.user, None)
        elif each.said is not Said.REVIEW:
            found[each.user] = each
    return found


def review(answers: Iterable[Answer]) -> Answer | None:
    """The newest review that nothing was said after."""
    newest = None
    for each in answers:
        newest = each if each.said is Said.REVIEW else None
    return newest


def state(spec: Labeling, answers: Sequence[Answer]) -> State:
    """Of an item, from all that was said of it, oldest first."""
    if review(answers) is not None:
        return State.REVIEWED
    found = list(standing(answers).values())
    if len(found) < spec.annotators.per_item:
        return State.QUEUED
    skips = [each for each in found if each.said is Said.SKIP]
    if len(skips) == len(found):
        return State.SKIPPED
    values = [each.value for each in found]
    same = not skips and all(alike(spec.task, values[0], value) for value in values[1:])
    return State.LABELLED if same else State.CONFLICTING


def final(spec: Labeling, answers: Sequence[Answer]) -> Any:
    """The label of an item in the result; None where there is none."""
    reviewed = review(answers)
    if reviewed is not None:
        return reviewed.value
    if state(spec, answers) is not State.LABELLED:
        return None
    return next(iter(standing(answers).values())).value


def to_review(spec: Labeling) -> tuple[State, ...]:
    """Which states of items wait for a second person."""
    if spec.review == "required":
        return (State.CONFLICTING, State.LABELLED, State.SKIPPED)
    return (State.CONFLICTING,) if spec.review == "disagreements" else ()


def status(spec: Labeling, states: Mapping[str, int]) -> Status:
    """Of a project that is not closed, from the number of its items by state."""
    if states.get(State.QUEUED) or states.get(State.ASSIGNED):
        return Status.OPEN
    return Status.LABELLED if any(states.get(each) for each in to_review(spec)) else Status.REVIEWED


def gold_is_due(share: float, asked: int, answered: int) -> bool:
    """Whether the next item of a person is a question whose answer is known."""
    return asked < math.floor(share * (answered + 1) + 1e-9)


def agree(spec: Labeling, known: Mapping[int, Any], answers: Mapping[int, Sequence[Answer]]) -> Agreement:
    """Among people who labelled the same items, and with the answers of gold questions: ``known``, by item."""
    said = {number: _labels(each) for number, each in answers.items()}
    both = {number: labels for number, labels in said.items() if number not in known and len(labels) > 1}
    gold = _gold(spec.task, known, said)
    if spec.task in ("entity_spans", "image_segmentation"):
        shared = [
            overlap(spec.task, one, other)
            for labels in both.values()
            for one, other in itertools.combinations(labels.values(), 2)
        ]
        return Agreement(overlap=sum(shared) / len(shared) if shared else None, both=len(both), gold=gold)
    named = {
        number: {user: canonical.dumps(value) for user, value in labels.items()} for number, labels in both.items()
    }
    alpha = agreement.krippendorff_alpha([list(labels.values()) for labels in named.values()])
    return Agreement(_kappas(named), alpha, both=len(both), gold=gold)


def _labels(answers: Sequence[Answer]) -> dict[str, Any]:
    return {user: each.value for user, each in standing(answers).items() if each.said is Said.LABEL}


def _kappas(named: Mapping[int, Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    people = sorted({user for labels in named.values() for user in labels})
    found = {}
    for one, other in itertools.combinations(people, 2):
        pairs = [(labels[one], labels[other]) for labels in named.values() if one in labels and other in labels]
        if pairs:
            mine, theirs = zip(*pairs, strict=True)
            found[f"{one}, {other}"] = {"value": agreement.cohen_kappa(mine, theirs), "items": len(pairs)}
    return found


def _gold(task: str, known: Mapping[int, Any], said: Mapping[int, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    asked: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for number, answer in known.items():
        for user, value in said.get(number, {}).items():
            asked[user] += 1
            right[user] += alike(task, answer, value)
    return {user: {"right": right[user], "asked": asked[user]} for user in sorted(asked)}
