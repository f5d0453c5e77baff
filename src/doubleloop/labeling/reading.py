"""Labels that were made elsewhere, read from files: csv, jsonl, CoNLL, COCO, YOLO and Label Studio's JSON."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from doubleloop.base import errors
from doubleloop.labeling import exporting, located, model, rle, tasks
from doubleloop.specs.kinds.labeling import OF_IMAGES, Labeling

LABEL = "label"
# YOLO's files have six decimals of a share: a hundredth of a pixel in images up to 5,000 wide.
DECIMALS = 2
Files = Mapping[str, bytes]


def labels(spec: Labeling, files: Files, format_: str, *, proposals: bool = False) -> list[model.Incoming]:
    """What files (path → content) say. ``proposals``: of Label Studio's tasks the predictions.

    Raises InvalidInput, with file and line, for what is broken.
    """
    if format_ == "labelstudio":
        return [
            each for file in _texts(files, ".json") for line, task in file.elements()
            for each in tasks.read(spec, task, file.at(line), proposals)
        ]  # fmt: skip
    return list(_READERS[format_](spec, files))


def check(spec: Labeling, format_: str) -> str:
    """Raises InvalidInput for a format that is none, or that cannot hold the task's labels."""
    exporting.check(spec, format_)
    return format_


def _texts(files: Files, *suffixes: str) -> Iterator[located.Text]:
    found = sorted(path for path in files if path.lower().endswith(suffixes))
    if not found:
        raise errors.InvalidInput(
            f"No file ends in {' or '.join(suffixes)}", cure=f"There are: {', '.join(sorted(files)[:10])}."
        )
    for path in found:
        yield located.Text(path, files[path])


def _csv(spec: Labeling, files: Files) -> Iterator[model.Incoming]:
    csv.field_size_limit(10_000_000)
    for file in _texts(files, ".csv"):
        reader = csv.DictReader(io.StringIO(file.text, newline=""), strict=True)
        line = 1
        try:
            _columns(spec, file, reader.fieldnames or ())
            for row in reader:
                line = line + 1
                if None in row or any(value is None for value in row.values()):
                    raise errors.InvalidInput("The line has not as many values as the first", where=file.at(line))
                if row[LABEL]:
                    yield _row(spec, file, line, row, _cell(spec, file, line, row[LABEL]))
                line = reader.line_num
        except csv.Error as error:
            raise errors.InvalidInput(f"The file is not CSV: {error}", where=file.at(reader.line_num or 1)) from None


def _columns(spec: Labeling, file: located.Text, there: Any) -> None:
    wanted = _key(spec)
    missing = [name for name in (LABEL,) if name not in there]
    if wanted not in there and "item" not in there:
        missing.append(wanted)
    if missing:
        raise errors.InvalidInput(
            f"The file has no column '{missing[0]}'", where=file.at(1), cure=f"There are: {', '.join(there) or 'none'}."
        )


def _key(spec: Labeling) -> str:
    return spec.column or "path"


def _cell(spec: Labeling, file: located.Text, line: int, value: str) -> Any:
    return value if spec.task.endswith("classification") else file.json(value, line)


def _row(spec: Labeling, file: located.Text, line: int, row: Mapping[str, Any], value: Any) -> model.Incoming:
    if _key(spec) not in row:
        return model.Incoming(file.at(line), "item", str(row["item"]), value)
    by = "content" if spec.task not in OF_IMAGES else "path"
    return model.Incoming(file.at(line), by, str(row[_key(spec)]), value)


def _jsonl(spec: Labeling, files: Files) -> Iterator[model.Incoming]:
    for file in _texts(files, ".jsonl", ".ndjson"):
        for line, text in enumerate(file.text.split("\n"), start=1):
            if not text.strip():
                continue
            row = file.json(text, line)
            if not isinstance(row, dict):
                raise errors.InvalidInput("The line is no object", where=file.at(line))
            if _key(spec) not in row and "item" not in row:
                raise errors.InvalidInput(f"The line has no field '{_key(spec)}'", where=file.at(line))
            if row.get(LABEL) is not None:
                yield _row(spec, file, line, row, row[LABEL])


def _conll(spec: Labeling, files: Files) -> Iterator[model.Incoming]:
    """The first column holds words, the last tags; an empty line ends a text (CoNLL-2003, IOB1 and IOB2)."""
    for file in _texts(files, ".conll", ".txt", ".iob", ".bio"):
        words: list[tuple[int, str, str]] = []
        for line, text in enumerate([*file.text.split("\n"), ""], start=1):
            parts = text.rstrip("\r").split("\t") if "\t" in text else text.split()
            if not parts and words:
                yield _sentence(file, words)
                words = []
            if not parts or parts[0] == "-DOCSTART-":
                continue
            if len(parts) < 2 or not re.fullmatch(r"O|[BI]-.+", parts[-1]):
                raise errors.InvalidInput(
                    f"'{text.strip()[:80]}' is no word with its tag", where=file.at(line),
                    cure="Write the word, and B-LABEL, I-LABEL or O behind it.",
                )  # fmt: skip
            words.append((line, parts[0], parts[-1]))


def _sentence(file: located.Text, words: list[tuple[int, str, str]]) -> model.Incoming:
    """Places of spans are counted without spaces, until the item's text is known."""
    spans: list[dict[str, Any]] = []
    at, before = 0, "O"
    for _, word, tag in words:
        if tag.startswith("I-") and before[1:] == tag[1:]:
            spans[-1]["end"] = at + len(word)
        elif tag != "O":
            spans.append({"start": at, "end": at + len(word), "label": tag[2:]})
        at, before = at + len(word), tag
    return model.Incoming(file.at(words[0][0]), "words", "".join(word for _, word, _ in words), spans)


def _coco(spec: Labeling, files: Files) -> Iterator[model.Incoming]:
    """COCO's object detection format: https://cocodataset.org/#format-data."""
    for file in _texts(files, ".json"):
        found = file.members()
        images = {each["id"]: (line, each) for line, each in _objects(file, found, "images", "id", "file_name")}
        names = {each["id"]: each["name"] for _, each in _objects(file, found, "categories", "id", "name")}
        shapes: dict[Any, list[tuple[int, dict[str, Any]]]] = {key: [] for key in images}
        for line, each in _objects(file, found, "annotations", "image_id", "category_id"):
            if each["image_id"] not in images or each["category_id"] not in names:
                what = "image" if each["image_id"] not in images else "category"
                raise errors.InvalidInput(f"There is no {what} {each[f'{what}_id']}", where=file.at(line))
            outlines = _outlines(file, line, each, images[each["image_id"]][1])
            shapes[each["image_id"]] += [(line, {"label": names[each["category_id"]], **one}) for one in outlines]
        for key, (line, image) in images.items():
            yield from _of_image(spec, file, line, str(image["file_name"]), shapes[key])


def _objects(
    file: located.Text, found: dict[str, Any], name: str, *fields: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    items = found.get(name)
    if not isinstance(items, list):
        raise errors.InvalidInput(f"The file has no list of {name}", where=file.at(1), cure="Is it another format?")
    for line, each in items:
        missing = [key for key in fields if not isinstance(each, dict) or not isinstance(each.get(key), (int, str))]
        if missing:
            raise errors.InvalidInput(f"One of {name} has no '{missing[0]}'", where=file.at(line))
        yield line, each


def _outlines(file: located.Text, line: int, each: dict[str, Any], image: dict[str, Any]) -> list[dict[str, Any]]:
    """The polygons of an annotation, or its box where it has none. Of several polygons, and of a mask's parts, each is
    a shape of its own."""
    outlines = each.get("segmentation") or []
    if isinstance(outlines, dict):
        return [{"polygon": outline} for outline in _of_mask(file, line, outlines, image)]
    if not outlines:
        return [{"box": each.get("bbox")}]
    pairs = []
    for outline in outlines:
        if not isinstance(outline, list) or len(outline) % 2:
            raise errors.InvalidInput("A polygon is not x, y, x, y, …", where=file.at(line))
        pairs.append([list(point) for point in zip(outline[::2], outline[1::2], strict=True)])
    return [{"polygon": pair} for pair in pairs]


def _of_mask(file: located.Text, line: int, told: dict[str, Any], image: dict[str, Any]) -> list[list[list[float]]]:
    size = [image[name] for name in ("height", "width") if type(image.get(name)) is int and image[name] > 0]
    try:
        if len(size) == 2 and told.get("size") != size:
            raise errors.InvalidInput(f"The mask is of size {str(told.get('size'))[:60]}, and its image of {size}")
        found = rle.outlines(rle.mask(told))
    except errors.InvalidInput as error:
        error.where = file.at(line)
        raise
    if not found:
        raise errors.InvalidInput("The mask covers nothing", where=file.at(line), cure="Leave the annotation out.")
    return found


def _of_image(
    spec: Labeling, file: located.Text, line: int, path: str, shapes: list[tuple[int, dict[str, Any]]]
) -> Iterator[model.Incoming]:
    """One label of an image: its shapes; of a classification the class that each of its annotations names."""
    if spec.task == "image_segmentation":
        yield model.Incoming(file.at(shapes[0][0] if shapes else line), "path", path, [shape for _, shape in shapes])
        return
    for place, shape in shapes:
        yield model.Incoming(file.at(place), "path", path, shape["label"])


def _yolo(spec: Labeling, files: Files) -> Iterator[model.Incoming]:
    """A text file an image, a line a box (class, middle, size) or a polygon (class, x, y, x, y, …), in shares."""
    listed = next((path for path in sorted(files) if PurePosixPath(path).name == "classes.txt"), None)
    if listed is None:
        raise errors.InvalidInput("There is no classes.txt, which names the classes", cure="One name a line.")
    names = located.Text(listed, files[listed]).text.split("\n")
    for file in _texts({path: each for path, each in files.items() if path != listed}, ".txt"):
        shapes = []
        for line, text in enumerate(file.text.split("\n"), start=1):
            if text.strip():
                shapes.append(_yolo_shape(file, line, text.split(), [name.strip() for name in names]))
        place = PurePosixPath(file.file)
        inside = PurePosixPath(*place.parts[1:]) if place.parts[0] == "labels" and len(place.parts) > 1 else place
        yield model.Incoming(file.at(1), "stem", str(inside.with_suffix("")), shapes, decimals=DECIMALS)


def _yolo_shape(file: located.Text, line: int, parts: list[str], names: list[str]) -> dict[str, Any]:
    try:
        number, places = int(parts[0]), [float(each) for each in parts[1:]]
    except ValueError:
        raise errors.InvalidInput("The line is not a class and numbers", where=file.at(line)) from None
    if not 0 <= number < len(names) or not names[number]:
        raise errors.InvalidInput(f"There is no class {number} in classes.txt", where=file.at(line))
    if not all(0 <= each <= 1 for each in places):
        raise errors.InvalidInput("A place is not between 0 and 1: they are shares of the image", where=file.at(line))
    if len(places) == 4:
        x, y, wide, high = places
        return {"label": names[number], "box": [max(x - wide / 2, 0.0), max(y - high / 2, 0.0), wide, high]}
    if len(places) >= 6 and len(places) % 2 == 0:
        points = [list(point) for point in zip(places[::2], places[1::2], strict=True)]
        return {"label": names[number], "polygon": points}
    raise errors.InvalidInput("The line is neither a box (4 numbers) nor a polygon (6 or more)", where=file.at(line))


_READERS: dict[str, Callable[[Labeling, Files], Iterator[model.Incoming]]] = {
    "csv": _csv, "jsonl": _jsonl, "conll": _conll, "coco": _coco, "yolo": _yolo,
}  # fmt: skip


def guess(files: Files) -> str:
    """The format by the names of the files, and what JSON holds. Raises InvalidInput where it cannot be told."""
    names = [PurePosixPath(path).name.lower() for path in files]
    if "classes.txt" in names:
        return "yolo"
    for suffix, format_ in ((".csv", "csv"), (".jsonl", "jsonl"), (".conll", "conll")):
        if names and all(name.endswith(suffix) for name in names):
            return format_
    if names and all(name.endswith(".json") for name in names):
        start = next(iter(files.values())).lstrip()[:1]
        return "coco" if start == b"{" else "labelstudio"
    raise errors.InvalidInput(
        "It cannot be told which format the files have", cure=f"Name it: one of {', '.join(exporting.FORMATS)}."
    )
