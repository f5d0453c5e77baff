"""Label Studio's tasks: an item with what was said of it, as its JSON and its API write them.

https://labelstud.io/guide/task_format: places in images are shares of 100 there, those in texts characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from doubleloop.base import errors
from doubleloop.labeling import model
from doubleloop.specs.kinds.labeling import OF_IMAGES, Labeling

# In a task's data: the number of the item that it shows.
ITEM = "item"
# The control that draws polygons; ``label`` is all the others.
OUTLINE = "outline"
# What is ranked, in a task's data and as the list that shows it.
OPTIONS = "options"
# A double of a share of 100 keeps more places than this of a pixel.
DECIMALS = 6


def task(spec: Labeling, item: model.Item, shown: str) -> dict[str, Any]:
    """``shown``: the text, or where the image is."""
    kind = "image" if spec.task in OF_IMAGES else "text"
    ranked = [{"id": each.name, "title": each.name} for each in spec.labels] if spec.task == "ranking" else None
    return {"id": item.number, "data": {kind: shown} | ({OPTIONS: ranked} if ranked else {})}


def result(item: model.Item, value: Any, size: tuple[int, int] | None) -> list[dict[str, Any]]:
    """A label as regions. ``size``: width and height of the image in pixels."""
    kind = "text" if item.kind == "text" else "image"
    if isinstance(value, list) and value and isinstance(value[0], str):
        return [{"from_name": "label", "to_name": OPTIONS, "type": "ranker", "value": {"ranker": {"label": value}}}]
    parts = [{"value": value}] if isinstance(value, str) else value
    return [
        {
            "from_name": OUTLINE if "polygon" in part else "label",
            "to_name": kind,
            **_region(item, part, size or (100, 100)),
        }
        for part in parts
    ]


def _region(item: model.Item, part: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    if "value" in part:
        return {"type": "choices", "value": {"choices": [part["value"]]}}
    label = [part["label"]]
    if "start" in part:
        text = item.content[part["start"] : part["end"]]
        return {"type": "labels", "value": {"start": part["start"], "end": part["end"], "text": text, "labels": label}}
    width, height = size
    sized = {"original_width": width, "original_height": height}
    if "polygon" in part:
        points = [[100 * x / width, 100 * y / height] for x, y in part["polygon"]]
        return {"type": "polygonlabels", **sized, "value": {"points": points, "polygonlabels": label}}
    x, y, wide, high = part["box"]
    box = {"x": 100 * x / width, "y": 100 * y / height, "width": 100 * wide / width, "height": 100 * high / height}
    return {"type": "rectanglelabels", **sized, "value": {**box, "rotation": 0, "rectanglelabels": label}}


def read(spec: Labeling, task: Any, where: errors.Where, proposals: bool = False) -> Iterator[model.Incoming]:
    """What was said in a task, one for each annotation that was not cancelled; ``proposals``: of its predictions, where
    it has any. Raises InvalidInput."""
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise errors.InvalidInput(
            "It is no task: `data` is missing", where=where, cure="Export as JSON from Label Studio."
        )
    by, key = _key(task["data"], where)
    said = (proposals and task.get("predictions")) or task.get("annotations") or task.get("completions") or []
    for each in said:
        if isinstance(each, dict) and not each.get("was_cancelled"):
            yield annotation(spec, each, where, by, key)


def _key(data: Mapping[str, Any], where: errors.Where) -> tuple[str, str]:
    for name, by in ((ITEM, "item"), ("text", "content"), ("image", "path")):
        if data.get(name) not in (None, ""):
            return by, str(data[name])
    raise errors.InvalidInput(
        "The task shows neither `text` nor `image`",
        where=where,
        cure=f"It has: {', '.join(map(str, data)) or 'nothing'}.",
    )


def annotation(spec: Labeling, said: Mapping[str, Any], where: errors.Where, by: str, key: str) -> model.Incoming:
    """Raises InvalidInput for regions that no label of the project's task is made of."""
    regions = said.get("result")
    if not isinstance(regions, list):
        raise errors.InvalidInput("The annotation has no `result`", where=where)
    parts = [_part(each, where) for each in regions if not (isinstance(each, dict) and each.get("type") in _SILENT)]
    if spec.task == "ranking":
        if len(parts) != 1 or not isinstance(parts[0], list):
            raise errors.InvalidInput(
                f"The annotation has {len(parts)} regions, and one ranking is needed", where=where
            )
        return model.Incoming(where, by, key, parts[0])
    if spec.task.endswith("classification"):
        if len(parts) != 1 or not isinstance(parts[0], str):
            raise errors.InvalidInput(f"The annotation has {len(parts)} regions, and one choice is needed", where=where)
        return model.Incoming(where, by, key, parts[0])
    wrong = next((each for each in parts if not isinstance(each, dict)), None)
    if wrong is not None:
        what = "a ranking" if isinstance(wrong, list) else "the choice of a class"
        raise errors.InvalidInput(f"'{str(wrong)[:80]}' is {what}, not a region", where=where)
    text = tuple(str(each.pop("text", "")) for each in parts)
    decimals = DECIMALS if spec.task == "image_segmentation" else None
    return model.Incoming(where, by, key, parts, decimals, text if any(text) else None)


# Regions that say nothing of the label: relations between others, and remarks.
_SILENT = ("relation", "textarea", "rating")


def _part(region: Any, where: errors.Where) -> Any:
    value = region.get("value") if isinstance(region, dict) else None
    kind = region.get("type") if isinstance(region, dict) else None
    try:
        assert isinstance(value, dict)
        if kind == "choices":
            (choice,) = value["choices"]
            return str(choice)
        if kind == "ranker":
            # By the name of the control; older ones write the list alone.
            (order,) = value["ranker"].values() if isinstance(value["ranker"], dict) else (value["ranker"],)
            return [str(each) for each in list(order)]
        if kind in ("labels", "hypertextlabels"):
            (label,) = value.get("labels") or value["hypertextlabels"]
            return {
                "start": int(value["start"]),
                "end": int(value["end"]),
                "label": label,
                "text": value.get("text", ""),
            }
        if kind == "rectanglelabels" and not value.get("rotation"):
            (label,) = value["rectanglelabels"]
            return {"label": label, "box": [value[name] / 100 for name in ("x", "y", "width", "height")]}
        if kind == "polygonlabels":
            (label,) = value["polygonlabels"]
            return {"label": label, "polygon": [[x / 100, y / 100] for x, y in value["points"]]}
    except (AssertionError, KeyError, TypeError, ValueError):
        raise errors.InvalidInput(
            f"A region of type '{kind}' is not whole, or has not one label", where=where
        ) from None
    turned = "a turned box" if kind == "rectanglelabels" else f"a region of type '{kind}'"
    raise errors.InvalidInput(
        f"The annotation holds {turned}, which is not read", where=where,
        cure="Boxes (not turned), polygons, spans of text, single choices and rankings without buckets are.",
    )  # fmt: skip
