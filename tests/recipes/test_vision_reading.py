"""What the vision components read: images in every mode, labels in every form, and what they refuse."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from doubleloop.frames import reading as frames
from doubleloop.labeling import exporting
from doubleloop.labeling import model as labelings
from doubleloop.recipes.shared import problems
from doubleloop.recipes.vision import corruptions, masks, measures, pictures, preparing, reading
from doubleloop.specs.kinds.labeling import Labeling

COLUMNS = reading.Columns()


def png(image: Image.Image, **more: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, more.pop("format", "PNG"), **more)
    return file.getvalue()


GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


def bomb(width: int, height: int) -> bytes:
    """A PNG of a hundred bytes that says it has so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: a quarter turn to the right makes it upright
    return png(Image.fromarray(GREY), exif=exif.tobytes())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png(Image.fromarray(GREY)), GREY),
        (png(Image.fromarray(GREY.astype(np.uint16) * 257)), GREY),
        (png(Image.fromarray(GREY.astype(np.float32) / 255), format="TIFF"), GREY),
        (png(Image.fromarray(GREY).convert("P")), GREY),
        (png(Image.merge("RGB", [Image.fromarray(GREY)] * 3).convert("CMYK"), format="TIFF"), GREY),
        (turned(), np.rot90(GREY, -1)),
        (png(Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (8, 6), 0)])), np.full((6, 8), 255)),
    ],
    ids=["grey", "16 bits", "floats", "palette", "CMYK", "turned by EXIF", "wholly transparent"],
)
def test_an_image_is_read_whatever_its_mode(content: bytes, expected: np.ndarray) -> None:
    found = np.asarray(pictures.opened(content, "L")).astype(int)
    np.testing.assert_allclose(found, expected, atol=1)
    assert pictures.opened(content, "RGB").mode == "RGB"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the image is empty"),
        (b"no image at all", "cannot be read"),
        (png(Image.fromarray(GREY))[:50], "cannot be read"),
        (bomb(10_000, 8_000), "10000 x 8000 pixels"),
        (bomb(60_000, 60_000), "far more than 50000000 pixels"),
        (bomb(5_000, 5_000), "cannot be read"),
        ("no base64!", "not an image in base64"),
        (7, "not int"),
    ],
    ids=["empty", "text", "cut off", "large", "bomb", "less than it says", "text that is none", "number"],
)
def test_what_is_no_image_is_refused(content: Any, why: str) -> None:
    with pytest.raises(pictures.BadImage, match=why):
        pictures.opened(content, "RGB")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images of two classes in class folders."""
    for number in range(6):
        place = tmp_path / "images" / ("dark" if number % 2 else "light")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes(png(Image.fromarray(GREY if number % 2 else 255 - GREY)))
    return tmp_path / "images"


def read(images: Path | str, labels: Path | str = "", columns: reading.Columns = COLUMNS, **more: Any) -> Any:
    return reading.examples(str(images), str(labels), columns, **more)


def test_class_folders_become_arrays_and_a_split_of_each_class(folder: Path) -> None:
    found = read(folder)
    labels = preparing.classes(found, "", False)
    assert labels == ["dark", "light"]
    data = preparing.arrays(found, preparing.shape(found, 8, "auto", 1), labels, False)
    assert data.images.shape == (6, 8, 8, 1) and data.targets.tolist() == [0, 0, 0, 1, 1, 1]
    train, test = preparing.split(6, data.targets, 0.3, 0)
    assert sorted([*train, *test]) == list(range(6)) and data.targets[test].tolist() == [0, 1]


Write = Callable[[Path, pl.DataFrame], Path]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_table_names_files_labels_and_groups(folder: Path, tmp_path: Path, suffix: str) -> None:
    table = pl.DataFrame({"path": ["dark/1.png", "light/0.png"], "label": ["7", "no"], "camera": ["a", "b"]})
    place = tmp_path / f"labels.{suffix}"
    {"csv": table.write_csv, "parquet": table.write_parquet, "jsonl": table.write_ndjson}[suffix](place)
    found = read(folder, place, reading.Columns(groups=("camera",)))
    assert [(each.label, each.groups) for each in found] == [("7", {"camera": "a"}), ("no", {"camera": "b"})]
    assert Path(found[0].content) == folder / "dark" / "1.png"


def test_a_table_may_hold_the_images_themselves(tmp_path: Path) -> None:
    pl.DataFrame({"image": [png(Image.fromarray(GREY))], "label": ["x"]}).write_parquet(tmp_path / "seen.parquet")
    (example,) = read("", tmp_path / "seen.parquet")
    assert pictures.opened(example.content, "L").size == (8, 6)


def labelled(task: str, values: list[Any]) -> tuple[Labeling, list[exporting.Labelled]]:
    spec = Labeling.model_validate(
        {"name": "p", "task": task, "labels": ["dark", "light"], "data": "azureml:d:1", "output": "o"}
    )
    paths = ["dark/1.png", "light/0.png"]
    items = [
        labelings.Item("", "", at + 1, "image", "hash", at, paths[at], None, None, None, labelings.State.REVIEWED)
        for at in range(len(values))
    ]
    return spec, [exporting.Labelled(item, value, (8, 6)) for item, value in zip(items, values, strict=True)]


@pytest.mark.parametrize("form", ["csv", "jsonl", "coco"])
def test_classes_that_the_labelling_room_exports_are_read(folder: Path, tmp_path: Path, form: str) -> None:
    spec, said = labelled("image_classification", ["dark", "light"])
    for path, content in exporting.files(spec, said, None, form).items():
        (tmp_path / path).write_bytes(content)
        assert [each.label for each in read(folder, tmp_path / path)] == ["dark", "light"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "coco", "yolo"])
def test_shapes_that_the_labelling_room_exports_become_masks(folder: Path, tmp_path: Path, form: str) -> None:
    spec, said = labelled("image_segmentation", [[{"label": "light", "box": [2, 1, 4, 3]}], []])
    out = tmp_path / "labels"
    for path, content in exporting.files(spec, said, None, form).items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(content)
    found = sorted(read(folder, out, masks=True), key=lambda each: str(each.content))
    drawn = masks.mask(found[0].label, "here", (6, 8), ["dark", "light"])
    expected = np.zeros((6, 8), dtype=int)
    expected[1:4, 2:6] = 1
    np.testing.assert_array_equal(drawn, expected)
    assert not masks.mask(found[1].label, "here", (6, 8), ["dark", "light"]).any()


def test_run_length_masks_of_coco_are_painted_over_what_is_there(folder: Path, tmp_path: Path) -> None:
    there = {"image_id": 1, "bbox": [0, 0, 8, 6]}
    told = {
        "images": [{"id": 1, "file_name": "dark/1.png", "width": 8, "height": 6}],
        "categories": [{"id": 1, "name": "light"}, {"id": 2, "name": "lamp"}],
        "annotations": [
            {**there, "category_id": 1, "segmentation": {"size": [6, 8], "counts": [6, 36, 6]}},
            {**there, "category_id": 2, "segmentation": {"size": [6, 8], "counts": [13, 1, 34]}},
        ],
    }
    (tmp_path / "t.json").write_text(json.dumps(told))
    (example,) = read(folder, tmp_path / "t.json", masks=True)
    expected = np.zeros((6, 8), dtype=int)
    expected[:, 1:7] = 1
    expected[1, 2] = 2
    np.testing.assert_array_equal(masks.mask(example.label, "", (6, 8), ["dark", "light", "lamp"]), expected)
    assert "t.json, dark/1.png: the mask is of size [6, 8], its image of 8 x 6" in refused(
        lambda: masks.mask(example.label, example.where, (8, 6), ["dark", "light", "lamp"])
    )


def test_masks_lie_beside_images_under_the_same_names(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(png(Image.fromarray(GREY % 2)))
    (example,) = read(tmp_path, masks=True)
    found = masks.mask(example.label, example.where, (6, 8), ["background", "cell"])
    np.testing.assert_array_equal(found, GREY % 2)
    for content, why in (
        (png(Image.fromarray(GREY)), "holds the value 5, and there are 2 classes"),
        (png(Image.fromarray(GREY[:3])), "3 x 8 pixels high and wide, its image 6 x 8"),
        (png(Image.new("RGB", (8, 6))), "a mask of mode RGB"),
        (b"broken", "cannot be read"),
    ):
        (tmp_path / "masks" / "a.png").write_bytes(content)
        with pytest.raises(problems.BadData, match=f"a.png: .*{why}"):
            masks.mask(example.label, example.where, (6, 8), ["background", "cell"])


def refused(act: Callable[[], Any]) -> str:
    with pytest.raises(problems.BadData) as caught:
        act()
    return str(caught.value)


def test_bad_data_is_told_with_file_row_and_cure(folder: Path, tmp_path: Path) -> None:
    def of(table: dict[str, list[Any]], **more: Any) -> str:
        pl.DataFrame(table).write_csv(tmp_path / "t.csv")
        return refused(lambda: read(folder, tmp_path / "t.csv", **more))

    assert of({"path": ["dark/1.png", "dark/9.png"], "label": ["a", "b"]}).startswith("t.csv, row 2: there is no file")
    assert "row 1: there is no label" in of({"path": ["dark/1.png"], "label": [""]})
    assert "leads out of the folder" in of({"path": ["../t.csv"], "label": ["a"]})
    assert "no column 'label' for the label. Columns: path" in of({"path": ["dark/1.png"]})
    (tmp_path / "t.json").write_text(json.dumps({"images": [{"id": 1}]}))
    assert "no COCO file: KeyError 'categories'" in refused(lambda: read(folder, tmp_path / "t.json"))
    (folder / "loose.png").write_bytes(b"x")
    assert "loose.png: an image in no class folder" in refused(lambda: read(folder))


def test_every_broken_image_and_every_unknown_label_is_named(folder: Path) -> None:
    (folder / "dark" / "1.png").write_bytes(b"broken")
    (folder / "light" / "0.png").write_bytes(bomb(60_000, 60_000))
    found = read(folder)
    shape = preparing.shape(found, 16, "rgb", 1)
    said = refused(lambda: preparing.arrays(found, shape, ["dark", "light"], False))
    assert said.startswith("2 of 6 images are broken: dark/1.png: ") and "light/0.png: an image of far more" in said
    assert "dark/1.png: the label 'dark' is none of light, heavy" in refused(
        lambda: preparing.classes(found, "light,heavy", False)
    )
    assert "all images have the label" in refused(lambda: preparing.classes(found[:1], "", False))


def test_corruptions_are_those_of_imagenet_c() -> None:
    images = np.random.default_rng(0).integers(60, 190, (3, 28, 28, 3), dtype=np.uint8)
    noisy = corrupted = corruptions.corrupted(images, "noise", 1).astype(float) - images
    assert abs(noisy.std() / 255 - 0.08) < 0.005 and abs(corrupted.mean()) < 1
    faint = corruptions.corrupted(images, "contrast", 2).astype(float)
    np.testing.assert_allclose(faint.std(axis=(1, 2)), 0.3 * images.std(axis=(1, 2)), rtol=0.02)
    lit = corruptions.corrupted(images, "brightness", 1)
    np.testing.assert_allclose(
        np.asarray([Image.fromarray(each).convert("HSV") for each in lit])[..., 2].astype(float),
        images.max(axis=3) + 25.5, atol=1,
    )  # fmt: skip
    flat = np.full((1, 28, 28, 1), 9, dtype=np.uint8)
    assert (corruptions.corrupted(flat, "blur", 5) == flat).all()
    assert corruptions.corrupted(images, "blur", 5).std() < images.std() / 2
    with pytest.raises(ValueError, match="no corruption 'fog'"):
        corruptions.corrupted(images, "fog", 1)


def test_metrics_are_those_of_torchmetrics() -> None:
    """Golden values: torchmetrics 1.9.0 (MulticlassJaccardIndex, MulticlassAccuracy, MulticlassF1Score)."""
    dice = np.random.default_rng(7)
    truth = dice.integers(0, 4, (6, 8, 8))
    said = np.where(dice.random((6, 8, 8)) < 0.6, truth, dice.integers(0, 4, (6, 8, 8)))
    truth[0, :2] = measures.IGNORED
    counts = measures.confusion(truth, said, 4)
    assert measures.segmentation(counts) == pytest.approx({"miou": 0.52952796, "pixel_accuracy": 0.69293481})
    assert measures.unions(counts) == pytest.approx([0.50877196, 0.52542371, 0.53846157, 0.54545456])
    true = np.array([3, 0, 0, 0, 3, 2, 3, 0, 1, 3, 2, 3, 3, 2, 1, 0])
    guess = np.array([3, 3, 0, 0, 3, 3, 3, 0, 1, 2, 1, 1, 3, 2, 1, 0])
    found = measures.classification(measures.confusion(true, guess, 4))
    assert found == pytest.approx({"accuracy": 0.6875, "macro_f1": 0.65555555})
    rows = measures.per_class(measures.confusion(true, guess, 4), list("abcd"))
    assert rows[1]["count"] == 2 and rows[1]["recall"] == 1.0 and rows[1]["precision"] == 0.5


def test_the_table_reader_of_the_house_reads_what_is_exported(tmp_path: Path) -> None:
    spec, said = labelled("image_classification", ["dark"])
    (tmp_path / "labels.csv").write_bytes(exporting.files(spec, said, None, "csv")["labels.csv"])
    assert frames.read(tmp_path / "labels.csv").rows() == [("dark/1.png", "dark")]
