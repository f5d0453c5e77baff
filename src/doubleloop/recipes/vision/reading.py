"""Images and what is said of them, from the forms that people keep them in.

Class folders (``cat/1.png``); a table of file names and labels, or of images themselves (base64 or bytes) and labels:
CSV, JSON lines or Parquet, as the labelling room exports them; COCO; YOLO. Masks are PNG files of class numbers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas

from .faults import BadData

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
TABLES = (".csv", ".jsonl", ".parquet")
# Names that a column of file names has where nobody says.
_FILES = ("path", "file_name", "filename", "file", "image")
LABEL, MASK = "label", "mask"
MOST_ROWS = 5_000_000


@dataclass(frozen=True)
class Example:
    """``where`` names the file, or the table and row. ``content``: the path of the image, or the image itself.

    ``label``: a class, or for segmentation the path of a mask or a list of shapes. ``groups``: values of its columns.
    """

    where: str
    content: Any
    label: Any
    is_path: bool
    groups: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Columns:
    """Names of columns; empty is found by itself."""

    file: str = ""
    label: str = ""
    groups: tuple[str, ...] = ()


def examples(images: str, labels: str, columns: Columns, *, masks: bool = False) -> list[Example]:
    """``images``: a folder or empty; ``labels``: a file or folder with what is said of them, or empty.

    ``masks``: labels are masks or shapes. Raises BadData.
    """
    if not images and not labels:
        raise BadData("neither images nor labels are given", cure="Give `images`, `labels`, or both")
    if images and not os.path.isdir(images):
        if labels:
            raise BadData("`images` is no folder", images)
        images, labels = "", images
    found = _said(images, labels, columns, masks) if labels else _alone(images, columns, masks)
    if not found:
        raise BadData("there are no images with labels in it", labels or images)
    return found


def _alone(images: str, columns: Columns, masks: bool) -> list[Example]:
    """A folder with everything in it."""
    beside = [each for each in sorted(os.listdir(images)) if each.lower().endswith((*TABLES, ".json"))]
    if len(beside) > 1:
        raise BadData("several files may hold the labels: {}".format(", ".join(beside)), images, "Name one as `labels`")
    if beside:
        return _said(images, os.path.join(images, beside[0]), columns, masks)
    if os.path.isfile(os.path.join(images, "classes.txt")):
        return _said(images, images, columns, masks)
    if masks:
        inside = os.path.join(images, "masks")
        if not os.path.isdir(inside):
            raise BadData("there is no folder `masks` in it", images, "Give the folder of masks as `labels`")
        return _paired(os.path.join(images, "images"), inside)
    return list(_class_folders(images))


def _said(images: str, labels: str, columns: Columns, masks: bool) -> list[Example]:
    if os.path.isdir(labels):
        if os.path.isfile(os.path.join(labels, "classes.txt")):
            return _yolo(images, labels, masks)
        inside = [each for each in sorted(os.listdir(labels)) if each.lower().endswith((*TABLES, ".json"))]
        if len(inside) == 1:
            return _said(images, os.path.join(labels, inside[0]), columns, masks)
        if masks:
            return _paired(images, labels)
        raise BadData(f"the folder holds {len(inside)} files of labels", labels, "Give one CSV, JSON or Parquet file")
    suffix = os.path.splitext(labels)[1].lower()
    if suffix == ".json":
        return _coco(images, labels, masks)
    if suffix not in TABLES:
        raise BadData(f"a '{suffix}' file holds no labels", labels, "Give CSV, JSON lines, Parquet or COCO's JSON")
    return list(_rows(images, labels, table(labels), columns, masks))


def files(folder: str) -> list[str]:
    """Paths of the image files below a folder, relative to it, by name."""
    found = []
    for root, _, names in os.walk(folder):
        found += [os.path.relpath(os.path.join(root, name), folder) for name in names if _is_image(name)]
    return sorted(found)


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGES) and not name.startswith("._")


def _class_folders(images: str) -> Iterator[Example]:
    for path in files(images):
        if os.sep not in path:
            raise BadData(
                "an image in no class folder", os.path.join(images, path), "Put it into a folder named like its class"
            )
        yield Example(path, os.path.join(images, path), path.split(os.sep)[0], True)


def _paired(images: str, masks: str) -> list[Example]:
    """Images and masks of one name, whatever their suffixes."""
    known = {os.path.splitext(path)[0]: path for path in files(masks)}
    found = []
    for path in files(images):
        mask = known.pop(os.path.splitext(path)[0], None)
        if mask is None:
            raise BadData(
                f"there is no mask of this name in {masks}", path, "A mask is called like its image, with .png"
            )
        found.append(Example(path, os.path.join(images, path), os.path.join(masks, mask), True))
    if known:
        raise BadData("a mask without an image", next(iter(known.values())), "Take it out, or add the image")
    return found


def table(path: str) -> pandas.DataFrame:
    """The rows of a CSV (as texts), JSON lines or Parquet file. Raises BadData."""
    suffix = os.path.splitext(path)[1].lower()
    try:
        if suffix == ".parquet":
            return pandas.read_parquet(path)
        if suffix == ".csv":
            return pandas.read_csv(path, dtype=str, keep_default_na=False)
        return pandas.DataFrame(list(_lines(path)))
    except BadData:
        raise
    except (ValueError, OSError) as error:  # pandas' and pyarrow's own are kinds of these
        raise BadData(f"it cannot be read as {suffix[1:]}: {str(error).splitlines()[0][:300]}", path) from None


def _lines(path: str) -> Iterator[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    found = json.loads(line)
                except json.JSONDecodeError as error:
                    raise BadData(f"it is not JSON: {error}", f"{path}, line {number}") from None
                if not isinstance(found, dict):
                    raise BadData("it is no JSON object", f"{path}, line {number}")
                yield found


def _rows(images: str, path: str, rows: pandas.DataFrame, columns: Columns, masks: bool) -> Iterator[Example]:
    label = columns.label or (MASK if masks and MASK in rows.columns else LABEL)
    file = columns.file or next((each for each in _FILES if each in rows.columns), "")
    for name, what in ((label, "the label"), (file, "the image"), *((each, "a group") for each in columns.groups)):
        if name not in rows.columns:
            there = ", ".join(map(str, rows.columns)) or "none"
            raise BadData(f"there is no column '{name or _FILES[0]}' for {what}", path, f"Columns: {there}")
    name = os.path.basename(path)
    for number, row in enumerate(rows[[file, label, *columns.groups]].itertuples(index=False, name=None), 1):
        where = f"{name}, row {number}"
        groups = {key: str(value) for key, value in zip(columns.groups, row[2:], strict=True)}
        content, is_path = _content(images, row[0], where)
        shapes = _shapes_of(images, row[1], where) if masks else _class(row[1], where)
        yield Example(where if not is_path else f"{where} ({row[0]})", content, shapes, is_path, groups)


def _content(images: str, value: Any, where: str) -> tuple[Any, bool]:
    if isinstance(value, bytes):
        return value, False
    if not isinstance(value, str) or not value:
        raise BadData("there is no image", where, "Give a file name, or the image as base64")
    if not images:
        return value, False
    path = os.path.normpath(os.path.join(images, value))
    if not path.startswith(os.path.normpath(images) + os.sep):
        raise BadData(f"'{value[:200]}' leads out of the folder of images", where)
    if not os.path.isfile(path):
        raise BadData(f"there is no file '{value[:200]}'", where, f"File names are relative to {images}")
    return path, True


def _class(value: Any, where: str) -> str:
    if value is None or (isinstance(value, float) and value != value) or not str(value).strip():
        raise BadData("there is no label", where, "Label it, or leave the row out")
    if isinstance(value, list | dict):
        raise BadData("the label is a list of shapes, and a class is needed", where)
    return str(value)


def _shapes_of(images: str, value: Any, where: str) -> Any:
    """The path of a mask, or shapes as the labelling room writes them: [{"label", "box" | "polygon"}]."""
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return _content(images, value, where)[0] if value else _missing(where)
    try:
        shapes = json.loads(value) if isinstance(value, str) else [dict(each) for each in value]
    except (json.JSONDecodeError, TypeError, ValueError):
        _missing(where)
    for each in shapes:
        if not isinstance(each, dict) or "label" not in each or not ("box" in each or "polygon" in each):
            raise BadData("a shape without label, or without box and polygon", where)
    return shapes


def _missing(where: str) -> Any:
    raise BadData("there is no mask", where, "Give the file of a mask, or a list of shapes")


def _coco(images: str, path: str, masks: bool) -> list[Example]:
    """COCO's object detection format. For classification an image has annotations of one category."""
    try:
        with open(path, encoding="utf-8") as file:
            told = json.load(file)
        names = {each["id"]: str(each["name"]) for each in told["categories"]}
        by_image: dict[Any, list[dict[str, Any]]] = {each["id"]: [] for each in told["images"]}
        for each in told["annotations"]:
            by_image[each["image_id"]].append(_shape(each, names))
        listed = [(str(each["file_name"]), by_image[each["id"]]) for each in told["images"]]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise BadData(f"it is no COCO file: {type(error).__name__} {str(error)[:200]}", path) from None
    name, found = os.path.basename(path), []
    for file_name, shapes in listed:
        where = f"{name}, {file_name}"
        label = shapes if masks else _one_class(sorted({each["label"] for each in shapes}), where)
        found.append(Example(where, _content(images, file_name, where)[0], label, True))
    return found


def _shape(annotation: dict[str, Any], names: dict[Any, str]) -> dict[str, Any]:
    label = names[annotation["category_id"]]
    outlines = annotation.get("segmentation")
    if isinstance(outlines, dict):
        return {"label": label, "rle": outlines}
    if isinstance(outlines, list) and outlines:
        return {"label": label, "polygons": [list(zip(each[::2], each[1::2], strict=True)) for each in outlines]}
    return {"label": label, "box": [float(each) for each in annotation["bbox"]]}


def _one_class(labels: Sequence[str], where: str) -> str:
    if len(labels) != 1:
        what = "no label" if not labels else "several labels ({})".format(", ".join(labels))
        raise BadData(f"the image has {what}, and one class is needed", where)
    return labels[0]


def _yolo(images: str, labels: str, masks: bool) -> list[Example]:
    """Boxes as shares of the image; ``classes.txt`` names the classes by line."""
    if not images:
        raise BadData("labels of YOLO need `images`", labels)
    with open(os.path.join(labels, "classes.txt"), encoding="utf-8") as file:
        names = file.read().split("\n")
    found, folder = [], os.path.join(labels, "labels")
    for path in files(images):
        text = os.path.join(folder, os.path.splitext(path)[0] + ".txt")
        if not os.path.isfile(text):
            continue  # YOLO's own rule: an image without a file was not labelled
        with open(text, encoding="utf-8") as file:
            shapes = [_line(line, names, f"{text}, line {number}") for number, line in enumerate(file, 1)]
        label = shapes if masks else _one_class(sorted({each["label"] for each in shapes}), path)
        found.append(Example(path, os.path.join(images, path), label, True))
    return found


def _line(line: str, names: list[str], where: str) -> dict[str, Any]:
    try:
        number, *shares = line.split()
        x, y, wide, high = map(float, shares)
        return {"label": names[int(number)], "share": [x - wide / 2, y - high / 2, wide, high]}
    except (ValueError, IndexError):
        raise BadData(f"'{line.strip()[:80]}' is no line of YOLO", where, "Write: class x y width height") from None
