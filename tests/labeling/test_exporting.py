"""Forms of the result, read back by other hands: polars, the json module, the formats' own definitions."""

from __future__ import annotations

import io
import json
from typing import Any

import polars as pl
import pytest

from doubleloop.base import errors
from doubleloop.labeling import exporting, model
from doubleloop.specs import documents


def spec(task: str, labels: list[str], **more: Any) -> Any:
    body = {"name": "p", "task": task, "labels": labels, "data": "azureml:d:1", "output": "o", **more}
    return documents.from_model("labeling", body).model


def item(number: int, content: str, row: int = 0, path: str = "") -> model.Item:
    kind = "image" if path else "text"
    return model.Item("dev", "p", number, kind, content, row, path, None, None, None, model.State.LABELLED)


def test_csv_and_jsonl_have_the_columns_of_the_data_and_the_label() -> None:
    table = pl.DataFrame({"text": ["a", "b"], "vector": [[1.0], [2.0]], "label": ["old", "old"]})
    labelled = [exporting.Labelled(item(1, "b", 1), "x")]
    of = spec("text_classification", ["x", "y"], column="text")
    csv = exporting.files(of, labelled, table, "csv")["labels.csv"]
    assert pl.read_csv(io.BytesIO(csv)).rows(named=True) == [{"text": "b", "vector": "[2.0]", "label": "x"}]
    jsonl = exporting.files(of, labelled, table, "jsonl")["labels.jsonl"]
    assert [json.loads(line) for line in jsonl.splitlines()] == [{"text": "b", "vector": [2.0], "label": "x"}]


def test_spans_as_conll_begin_with_b_and_go_on_with_i() -> None:
    text = "Ada Lovelace met Babbage."
    spans = [{"start": 0, "end": 12, "label": "PER"}, {"start": 17, "end": 24, "label": "PER"}]
    found = exporting.files(
        spec("entity_spans", ["PER"], column="text"), [exporting.Labelled(item(1, text), spans)], None, "conll"
    )
    assert found["labels.conll"].decode() == "Ada\tB-PER\nLovelace\tI-PER\nmet\tO\nBabbage\tB-PER\n.\tO\n\n"


def test_boxes_as_coco_and_yolo() -> None:
    of = spec("image_segmentation", ["cat", "dog"])
    shapes = [{"label": "dog", "box": [10.0, 20.0, 40.0, 20.0]}, {"label": "cat", "polygon": [[0, 0], [4, 0], [0, 2]]}]
    labelled = [exporting.Labelled(item(7, "h", path="in/a.png"), shapes, (100, 50))]
    coco = json.loads(exporting.files(of, labelled, None, "coco")["labels.json"])
    assert coco["images"] == [{"id": 7, "file_name": "in/a.png", "width": 100, "height": 50}]
    assert [(each["category_id"], each["bbox"], each["area"]) for each in coco["annotations"]] == [
        (2, [10.0, 20.0, 40.0, 20.0], 800.0), (1, [0, 0, 4, 2], 8),
    ]  # fmt: skip
    assert coco["annotations"][1]["segmentation"] == [[0, 0, 4, 0, 0, 2]]
    yolo = exporting.files(of, labelled, None, "yolo")
    assert yolo["classes.txt"] == b"cat\ndog\n"
    # Middle (30, 30) of 100 x 50, size 40 x 20; middle (2, 1), size 4 x 2.
    assert yolo["labels/in/a.txt"].decode().splitlines() == [
        "1 0.300000 0.600000 0.400000 0.400000", "0 0.020000 0.020000 0.040000 0.040000",
    ]  # fmt: skip


def test_a_format_that_cannot_hold_the_labels_is_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="conll holds no labels of text_classification"):
        exporting.check(spec("text_classification", ["x", "y"], column="t"), "conll")
    with pytest.raises(errors.InvalidInput, match="'xml' is not a format"):
        exporting.check(spec("text_classification", ["x", "y"], column="t"), "xml")


def test_tasks_of_label_studio_have_places_as_shares_of_a_hundred() -> None:
    words = [exporting.Labelled(item(3, "Ada met"), [{"start": 0, "end": 3, "label": "PER"}])]
    (task,) = json.loads(
        exporting.files(spec("entity_spans", ["PER"], column="t"), words, None, "labelstudio")["tasks.json"]
    )
    assert (task["id"], task["data"]) == (3, {"text": "Ada met"})
    (region,) = task["annotations"][0]["result"]
    assert region == {
        "from_name": "label", "to_name": "text", "type": "labels",
        "value": {"start": 0, "end": 3, "text": "Ada", "labels": ["PER"]},
    }  # fmt: skip
    of = spec("image_segmentation", ["cat"])
    shapes = [
        {"label": "cat", "box": [10.0, 20.0, 40.0, 20.0]},
        {"label": "cat", "polygon": [[0, 0], [50, 0], [0, 25]]},
    ]
    boxes = [exporting.Labelled(item(1, "h", path="a.png"), shapes, (100, 50))]
    (task,) = json.loads(exporting.files(of, boxes, None, "labelstudio")["tasks.json"])
    box, polygon = task["annotations"][0]["result"]
    assert (box["type"], box["original_width"], box["original_height"]) == ("rectanglelabels", 100, 50)
    assert box["value"] == {"x": 10, "y": 40, "width": 40, "height": 40, "rotation": 0, "rectanglelabels": ["cat"]}
    assert polygon["value"] == {"points": [[0, 0], [50, 0], [0, 50]], "polygonlabels": ["cat"]}
    whole = [exporting.Labelled(item(1, "hi"), "x")]
    of = spec("text_classification", ["x", "y"], column="t")
    (task,) = json.loads(exporting.files(of, whole, None, "labelstudio")["tasks.json"])
    assert task["annotations"][0]["result"][0]["value"] == {"choices": ["x"]}
    ranked = [exporting.Labelled(item(1, "hi"), ["y", "x"])]
    (task,) = json.loads(
        exporting.files(spec("ranking", ["x", "y"], column="t"), ranked, None, "labelstudio")["tasks.json"]
    )
    assert task["data"] == {"text": "hi", "options": [{"id": "x", "title": "x"}, {"id": "y", "title": "y"}]}
    # The form of https://labelstud.io/tags/ranker; label-studio-sdk 2.1.2's LabelInterface finds nothing wrong with it.
    assert task["annotations"][0]["result"] == [
        {"from_name": "label", "to_name": "options", "type": "ranker", "value": {"ranker": {"label": ["y", "x"]}}}
    ]
    with pytest.raises(errors.InvalidInput, match="conll holds no labels of ranking"):
        exporting.check(spec("ranking", ["x", "y"], column="t"), "conll")
