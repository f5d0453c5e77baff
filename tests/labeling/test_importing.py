"""Labels from elsewhere: what goes out comes in the same, what is wrong is refused with its line, nothing by halves."""

from __future__ import annotations

import io
import json
from typing import Any

import polars as pl
import pytest
from PIL import Image

from doubleloop.base import errors
from doubleloop.data import commands as data
from doubleloop.events import queries as facts
from doubleloop.labeling import commands, importing, model, queries, rules
from doubleloop.specs import documents
from doubleloop.storage import ports as storage

TEXTS = ["Ada Lovelace met Babbage.", "😀 Grace, at Yale", "nothing here", "nothing here"]
SPANS = [
    [{"start": 0, "end": 12, "label": "PER"}, {"start": 17, "end": 24, "label": "PER"}],
    [{"start": 2, "end": 7, "label": "PER"}, {"start": 12, "end": 16, "label": "ORG"}],
    [],
    [],
]
SHAPES = {
    "in/a.png": [{"label": "dog", "box": [10.0, 20.25, 40.5, 20.0]}, {"label": "cat", "box": [0.0, 0.0, 100.0, 50.0]}],
    "in/b.png": [{"label": "cat", "box": [1.0, 2.0, 3.0, 4.0]}],
    "c.png": [],
}
PROJECT = """$schema: doubleloop/labeling
name: {name}
task: {task}
labels: [{labels}]
data: azureml:{name}-data:1
{more}output: {name}-out
"""


def png(width: int, height: int, shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height), shade).save(buffer, "PNG")
    return buffer.getvalue()


def add(house: Any, name: str, files: dict[str, bytes]) -> None:
    blobs = house.contexts.port(storage.Blobs)
    entries = tuple(storage.Entry(path, blobs.put_bytes(each), len(each)) for path, each in sorted(files.items()))
    tree = f"tree:sha256:{blobs.put_entries(entries).sha256}"
    single = next(iter(files)) if len(files) == 1 else None
    with house.write("ada") as ctx:
        data.add_version(ctx, name, f"{tree}/{single}" if single else tree, "uri_file" if single else "uri_folder")


def create(house: Any, name: str, task: str, labels: str, more: str = "") -> None:
    text = PROJECT.format(name=name, task=task, labels=labels, more=more)
    commands.create(house.contexts, house.actor("ada"), "dev", documents.parse(text, "p.yml", "/"))


def texts(house: Any, name: str, task: str, labels: str, more: str = "") -> None:
    add(house, f"{name}-data", {"t.jsonl": b"".join(json.dumps({"t": each}).encode() + b"\n" for each in TEXTS)})
    create(house, name, task, labels, f"column: t\n{more}")


def images(house: Any, name: str, task: str = "image_segmentation") -> None:
    add(house, f"{name}-data", {path: png(100, 50, shade) for shade, path in enumerate(SHAPES)})
    create(house, name, task, "cat, dog")


def take(house: Any, name: str, files: dict[str, bytes], format_: str | None = None, **how: Any) -> importing.Imported:
    return importing.import_(house.contexts, house.actor("ada"), "dev", name, files, format_, **how)


def labels(house: Any, name: str) -> dict[int, Any]:
    """By row, what was said last, with who said it."""
    with house.read("ada") as ctx:
        items = queries.items(ctx, name).items
        said = {each.row: queries.said(ctx, name, each.number) for each in items}
    return {row: (each[-1].user, each[-1].value) for row, each in said.items() if each}


def out(house: Any, name: str, format_: str) -> dict[str, bytes]:
    asset = commands.export(house.contexts, house.actor("ada"), "dev", name, format_)
    return importing.files(house.contexts, house.actor("ada"), "dev", f"azureml:{asset.name}:{asset.version}")


def label_all(house: Any, name: str, values: list[Any]) -> None:
    with house.write("ada") as ctx:
        for each in queries.items(ctx, name).items:
            commands.label(ctx, name, each.number, values[each.row])


@pytest.mark.parametrize("format_", ["csv", "jsonl", "conll", "labelstudio"])
def test_spans_that_go_out_come_in_the_same(house: Any, format_: str) -> None:
    texts(house, "one", "entity_spans", "PER, ORG")
    texts(house, "two", "entity_spans", "PER, ORG", "queue: {by: random, seed: 3}\n")
    label_all(house, "one", SPANS)
    files = out(house, "one", format_)
    assert take(house, "two", files, annotator="elsewhere") == importing.Imported(4, 0, 0)
    found = {row: sorted(value, key=lambda each: each["start"]) for row, (_, value) in labels(house, "two").items()}
    assert found == dict(enumerate(SPANS))
    assert {user for user, _ in labels(house, "two").values()} == {"elsewhere"}
    assert take(house, "two", files, format_, annotator="elsewhere") == importing.Imported(0, 4, 0)
    with house.read("service:setup", None) as ctx:
        (told,) = facts.facts(ctx, types=("labeling.imported",))
        reviewed = facts.facts(ctx, types=("labeling.reviewed",), subject="labeling:dev/two")
    assert (told.actor, told.data["annotator"], told.data["labels"], len(reviewed)) == ("ada", "elsewhere", 4, 1)


@pytest.mark.parametrize("format_", ["csv", "jsonl", "coco", "yolo", "labelstudio"])
def test_boxes_that_go_out_come_in_the_same_and_so_do_polygons_where_the_format_has_them(
    house: Any, format_: str
) -> None:
    images(house, "one")
    images(house, "two")
    outline = [{"label": "dog", "polygon": [[0.0, 0.0], [33.25, 0.5], [10.0, 49.0]]}]
    values = [SHAPES[path] for path in sorted(SHAPES)]
    values = [each or (outline if format_ != "yolo" else []) for each in values]
    label_all(house, "one", values)
    assert take(house, "two", out(house, "one", format_)).labels == 3
    ordered = [sorted(each, key=str) for each in values]
    assert [sorted(value, key=str) for _, (_, value) in sorted(labels(house, "two").items())] == ordered


@pytest.mark.parametrize("format_", ["jsonl", "labelstudio"])
def test_rankings_that_go_out_come_in_the_same(house: Any, format_: str) -> None:
    for name in ("one", "two"):
        texts(house, name, "ranking", "good, fair, bad")
    orders = [["bad", "good", "fair"], ["good", "fair", "bad"], ["fair", "bad", "good"], ["good", "bad", "fair"]]
    label_all(house, "one", orders)
    assert take(house, "two", out(house, "one", format_)).labels == 4
    assert [value for _, (_, value) in sorted(labels(house, "two").items())] == orders


@pytest.mark.parametrize("ranker, says", [
    ({"ranker": {"a": ["yes"], "b": ["no"]}}, "not whole"), ({"ranker": ["yes", "yes"]}, "names every label once"),
    ({}, "not whole"), (None, "not whole"),
])  # fmt: skip
def test_a_ranking_that_is_none_is_refused(house: Any, ranker: Any, says: str) -> None:
    texts(house, "one", "ranking", "yes, no")
    task = {"data": {"text": TEXTS[0]}, "annotations": [{"result": [{"type": "ranker", "value": ranker}]}]}
    with pytest.raises(errors.InvalidInput, match=says):
        take(house, "one", {"t.json": json.dumps([task]).encode()})


@pytest.mark.parametrize("format_", ["csv", "jsonl", "labelstudio"])
def test_classes_come_in_as_a_models_proposals_and_are_labels_of_nobody(house: Any, format_: str) -> None:
    for name in ("one", "two"):
        texts(house, name, "text_classification", "yes, no")
    label_all(house, "one", ["yes", "no", "no", "yes"])
    assert take(house, "two", out(house, "one", format_), proposals=True).labels == 4
    with house.read("ada") as ctx:
        assert {each.row: each.prelabel for each in queries.items(ctx, "two").items} == {
            0: "yes", 1: "no", 2: "no", 3: "yes",
        }  # fmt: skip
        assert queries.progress(ctx, "two").states == {model.State.QUEUED: 4}


def test_a_tool_that_counts_halves_of_characters_and_renames_uploads_is_understood(house: Any) -> None:
    texts(house, "one", "entity_spans", "PER, ORG")
    region = {"type": "labels", "value": {"start": 3, "end": 8, "text": "Grace", "labels": ["PER"]}}
    task = {"data": {"text": TEXTS[1]}, "annotations": [{"result": [region]}, {"was_cancelled": True, "result": []}]}
    take(house, "one", {"t.json": json.dumps([task]).encode()})
    assert labels(house, "one") == {1: ("ada", SPANS[1][:1])}
    images(house, "two")
    box = {"type": "rectanglelabels", "value": {"x": 1, "y": 4, "width": 3, "height": 8, "rectanglelabels": ["cat"]}}
    task = {"data": {"image": "/data/upload/3/0a1b2c3d-b.png"}, "annotations": [{"result": [box]}]}
    take(house, "two", {"t.json": json.dumps([task]).encode()})
    assert [value for _, value in labels(house, "two").values()] == [SHAPES["in/b.png"]]


COCO = {
    "images": [{"id": 5, "file_name": "in/a.png"}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [{"id": 1, "image_id": 5, "category_id": 1, "bbox": [0, 0, 9, 9]}],
}


def coco(**changes: Any) -> bytes:
    parts = {**COCO, **changes}
    lines = [f'"{key}": [\n' + ",\n".join(json.dumps(each) for each in value) + "\n]" for key, value in parts.items()]
    return ("{\n" + ",\n".join(lines) + "\n}").encode()


def test_each_part_of_a_run_length_mask_comes_in_as_an_outline(house: Any) -> None:
    images(house, "one")
    masked = {"size": [50, 100], "counts": [52, 2, 48, 2, 4896 - 8, 8]}
    take(house, "one", {"c.json": coco(annotations=[{**COCO["annotations"][0], "segmentation": masked}])})
    ((_, value),) = labels(house, "one").values()
    boxes = [[1, 2, 2, 2], [99, 42, 1, 8]]
    assert [set(each) for each in value] == [{"label", "polygon"}] * 2
    assert sorted(rules.box(each) for each in value) == boxes


WRONG_SHAPES: list[tuple[dict[str, bytes], str, str]] = [
    ({"c.json": coco(categories=[{"id": 1, "name": "cow"}])}, "c.json:9", "'cow' is no label"),
    ({"c.json": coco(images=[{"id": 5, "file_name": "z.png"}])}, "c.json:9", "No item of the project is 'z.png'"),
    ({"c.json": coco(annotations=[{"image_id": 6, "category_id": 1}])}, "c.json:9", "There is no image 6"),
    ({"c.json": coco(annotations=[{**COCO["annotations"][0], "bbox": [90, 0, 20, 9]}])}, "c.json:9", "reaches to 110"),
    ({"c.json": coco(annotations=[{**COCO["annotations"][0], "segmentation": {"counts": "x"}}])}, "c.json:9",
     "size of a mask"),
    ({"c.json": coco(annotations=[{**COCO["annotations"][0], "segmentation": {"size": [9, 9], "counts": [81]}}])},
     "c.json:9", "covers nothing"),
    ({"c.json": coco(images=[{"id": 5, "file_name": "in/a.png", "height": 50, "width": 100}], annotations=[
        {**COCO["annotations"][0], "segmentation": {"size": [100, 50], "counts": [0, 5000]}}])},
     "c.json:9", r"size \[100, 50\], and its image of \[50, 100\]"),
    ({"c.json": coco()[:-9]}, "c.json:9", "not JSON"),
    ({"c.json": b'{"images": []}'}, "c.json:1", "no list of categories"),
    ({"classes.txt": b"cat\n", "labels/c.txt": b"0 .5 .5 .1 .1\n1 .5 .5 .1 .1\n"}, "labels/c.txt:2", "no class 1"),
    ({"classes.txt": b"cat\n", "labels/in/a.txt": b"0 5 5 1 1\n"}, "labels/in/a.txt:1", "shares of the image"),
    ({"labels/in/a.txt": b"0 .5 .5 .1 .1"}, "", "cannot be told which format"),
    ({"l.csv": b'path,label\nin/a.png,[]\nin/a.png,"[{""label"": ""cat"", ""box"": [1,2,3,4]}]"\n'}, "l.csv:3",
     "labelled twice, and differently: also in l.csv:2"),
    ({"l.csv": b"path,label\nin/a.png,[,[\n"}, "l.csv:2", "not as many values"),
    ({"l.csv": b"path,lable\nin/a.png,x\n"}, "l.csv:1", "no column 'label'"),
    ({"l.jsonl": b'\n{"path": "in/a.png", "label": [}\n'}, "l.jsonl:2", "not JSON"),
    ({"l.jsonl": b"\xff\n"}, "l.jsonl:1", "not UTF-8"),
]  # fmt: skip
WRONG_SPANS: list[tuple[dict[str, bytes], str, str]] = [
    ({"l.conll": b"Ada\tB-PER\nLovelace\tX\n"}, "l.conll:2", "no word with its tag"),
    ({"l.conll": b"nothing O\nhere O\n\nAda B-PER\nmet O\n"}, "l.conll:4", "No item of the project is 'Adamet'"),
    ({"l.jsonl": b'{"t": "nothing here", "label": [{"start": 0, "end": 7, "label": "PER"}, '
      b'{"start": 4, "end": 9, "label": "ORG"}]}'}, "l.jsonl:1", "Two spans overlap: 0 to 7 .PER. and 4 to 9 .ORG."),
    ({"l.json": b'[\n{"data": {"text": "nothing here"}, "annotations": [{"result": [{"type": "labels", "value": '
      b'{"start": 0, "end": 7, "text": "here", "labels": ["PER"]}}]}]}]'}, "l.json:2", "stands not 'here'"),
    ({"l.json": b'[\n{"data": {"text": "nothing here"}, "annotations": [{"result": [{"type": "choices", "value": '
      b'{"choices": ["PER"]}}]}]}]'}, "l.json:2", "choice of a class"),
    ({"l.json": b'[{"annotations": []}]'}, "l.json:1", "no task"),
]  # fmt: skip


def test_a_file_with_one_wrong_label_is_refused_with_its_line_and_nothing_is_kept(house: Any) -> None:
    images(house, "one")
    texts(house, "two", "entity_spans", "PER, ORG")
    for name, cases in (("one", WRONG_SHAPES), ("two", WRONG_SPANS)):
        for files, line, says in cases:
            with pytest.raises(errors.InvalidInput, match=says) as caught:
                take(house, name, files)
            assert str(caught.value.where or "") == line, files
        assert labels(house, name) == {}


def test_labels_of_another_user_and_of_items_that_others_have_are_not_taken(house: Any) -> None:
    texts(house, "one", "text_classification", "yes, no")
    file = {"l.csv": pl.DataFrame({"t": TEXTS[:2], "label": ["yes", "no"]}).write_csv().encode()}
    with pytest.raises(errors.NotPermitted, match="grace is a user here"):
        take(house, "one", file, annotator="grace")
    with house.write("grace") as ctx:
        commands.label(ctx, "one", 2, "yes")
    with pytest.raises(errors.Conflict, match="Item 2 is others'") as caught:
        take(house, "one", file)
    assert str(caught.value.where) == "l.csv:3" and set(labels(house, "one")) == {1}
    with pytest.raises(errors.NotPermitted):
        importing.import_(house.contexts, house.actor("eve"), "dev", "one", file)
