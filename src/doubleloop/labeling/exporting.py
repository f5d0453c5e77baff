"""What was labelled, as a file: csv and jsonl with the data's columns, CoNLL for spans, COCO and YOLO for boxes,
and Label Studio's tasks for all of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from doubleloop.base import errors
from doubleloop.frames import reading as frames
from doubleloop.labeling import model, rules, tasks
from doubleloop.specs.kinds.labeling import OF_IMAGES, Labeling

FORMATS = ("csv", "jsonl", "conll", "coco", "yolo", "labelstudio")
LABEL = "label"
_ONLY = {"conll": ("entity_spans",), "coco": OF_IMAGES, "yolo": ("image_segmentation",)}


@dataclass(frozen=True)
class Labelled:
    """An item with its label in the result. ``size``: width and height of the image in pixels, where it was asked."""

    item: model.Item
    value: Any
    size: tuple[int, int] | None = None


def check(spec: Labeling, format_: str) -> None:
    """Raises InvalidInput for a format that is none, or that cannot hold the task's labels."""
    if format_ not in FORMATS:
        raise errors.InvalidInput(f"'{format_}' is not a format", cure=f"One of {', '.join(FORMATS)}.")
    if format_ in _ONLY and spec.task not in _ONLY[format_]:
        raise errors.InvalidInput(f"{format_} holds no labels of {spec.task}", cure="Use csv or jsonl.")


def files(spec: Labeling, labelled: Sequence[Labelled], table: pl.DataFrame | None, format_: str) -> dict[str, bytes]:
    """Path → content. Raises InvalidInput as ``check``."""
    check(spec, format_)
    if format_ == "csv":
        return {"labels.csv": frames.to_csv(_table(labelled, table, as_text=True))}
    if format_ == "jsonl":
        rows = _table(labelled, table, as_text=False)
        lines = (orjson.dumps({**row, LABEL: each.value}, default=str) for row, each in
                 zip(rows.iter_rows(named=True), labelled, strict=True))  # fmt: skip
        return {"labels.jsonl": b"".join(line + b"\n" for line in lines)}
    if format_ == "conll":
        return {"labels.conll": "".join(_conll(each) for each in labelled).encode()}
    if format_ == "labelstudio":
        return {"tasks.json": orjson.dumps([_task(spec, each) for each in labelled])}
    return {"labels.json": _coco(spec, labelled)} if format_ == "coco" else _yolo(spec, labelled)


def _table(labelled: Sequence[Labelled], table: pl.DataFrame | None, *, as_text: bool) -> pl.DataFrame:
    """The labelled rows with the columns that the data has (bytes as base64), or the paths of images; ``label`` is the
    last."""
    if table is None:
        kept = pl.DataFrame({"path": [each.item.path for each in labelled]}, schema={"path": pl.String})
    else:
        kept = table[[each.item.row for each in labelled]].drop(LABEL, strict=False)
    kept = kept.with_columns(pl.col(pl.Binary).bin.encode("base64"))  # images, as text holds them
    if not as_text:
        return kept
    nested = [name for name, kind in kept.schema.items() if kind.is_nested()]
    kept = kept.with_columns(
        pl.Series(name, [_json(value) for value in kept[name].to_list()], dtype=pl.String) for name in nested
    )
    return kept.with_columns(pl.Series(LABEL, [_cell(each.value) for each in labelled], dtype=pl.String))


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else str(_json(value))


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _conll(each: Labelled) -> str:
    """A word and its tag a line (B-, I- or O, as in CoNLL-2003), an empty line behind each text."""
    lines, before = [], None
    for word in re.finditer(r"\w+|[^\w\s]", each.item.content):
        span = next((span for span in each.value if span["start"] < word.end() and word.start() < span["end"]), None)
        tag = "O" if span is None else f"{'I' if span is before else 'B'}-{span['label']}"
        lines.append(f"{word[0]}\t{tag}\n")
        before = span
    return "".join(lines) + "\n"


def _coco(spec: Labeling, labelled: Sequence[Labelled]) -> bytes:
    """COCO's object detection format; a class of the whole image is an annotation of its whole size."""
    numbers = {each.name: number for number, each in enumerate(spec.labels, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for each in labelled:
        width, height = each.size or (0, 0)
        images.append({"id": each.item.number, "file_name": _file(each.item), "width": width, "height": height})
        shapes: list[dict[str, Any]] = (
            [{"label": each.value, "box": [0, 0, width, height]}] if isinstance(each.value, str) else each.value
        )
        for shape in shapes:
            box = rules.box(shape)
            outline = [[number for point in shape["polygon"] for number in point]] if "polygon" in shape else []
            annotations.append(
                {"id": len(annotations) + 1, "image_id": each.item.number, "category_id": numbers[shape["label"]],
                 "bbox": box, "area": box[2] * box[3], "segmentation": outline, "iscrowd": 0}
            )  # fmt: skip
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    return orjson.dumps({"images": images, "annotations": annotations, "categories": categories})


def _yolo(spec: Labeling, labelled: Sequence[Labelled]) -> dict[str, bytes]:
    """A text file an image: class, middle, width and height of each box as shares of the image's size."""
    numbers = {each.name: number for number, each in enumerate(spec.labels)}
    found = {"classes.txt": "".join(f"{name}\n" for name in numbers).encode()}
    for each in labelled:
        width, height = each.size or (1, 1)
        lines = []
        for shape in each.value:
            x, y, wide, high = rules.box(shape)
            shares = ((x + wide / 2) / width, (y + high / 2) / height, wide / width, high / height)
            lines.append(f"{numbers[shape['label']]} " + " ".join(f"{share:.6f}" for share in shares) + "\n")
        found[f"labels/{_file(each.item).rpartition('.')[0] or each.item.number}.txt"] = "".join(lines).encode()
    return found


def _task(spec: Labeling, each: Labelled) -> dict[str, Any]:
    shown = each.item.content if each.item.kind == "text" else _file(each.item)
    return {
        **tasks.task(spec, each.item, shown),
        "annotations": [{"result": tasks.result(each.item, each.value, each.size)}],
    }


def _file(item: model.Item) -> str:
    return item.path or f"{item.content}.image"
