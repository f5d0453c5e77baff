"""Images that an endpoint is sent, against those it was trained on: real photographs, darkened, cut and broken."""

from __future__ import annotations

import base64
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy
import polars as pl
import pytest
from monitoring_watch import NOW, Watch
from PIL import Image, ImageEnhance, ImageStat
from scipy import stats
from sklearn.datasets import load_sample_images

from doubleloop.base import errors
from doubleloop.data import commands as data
from doubleloop.frames import pictures
from doubleloop.monitoring import examples
from doubleloop.storage import ports as storage

SIGNAL = (
    "photos:\n  type: image_drift\n  features: photo\n{reference}"
    "  metric_thresholds: {{numerical: {{normalized_wasserstein_distance: 0.5}}, unreadable_rate: 0.1}}\n"
)
TRAINING = (
    "  reference_data:\n    input_data: {type: uri_folder, path: 'azureml:photos@latest'}\n    data_context: training\n"
)


def tiles(count: int, seed: int) -> list[Image.Image]:
    """Parts of the two photographs that scikit-learn brings, 32 x 48 pixels."""
    photos = [Image.fromarray(each) for each in load_sample_images().images]
    draw = numpy.random.default_rng(seed)
    found = []
    for number in range(count):
        left, top = int(draw.integers(0, 590)), int(draw.integers(0, 380))
        found.append(photos[number % 2].crop((left, top, left + 48, top + 32)))
    return found


def png(image: Image.Image) -> bytes:
    held = io.BytesIO()
    image.save(held, "PNG")
    return held.getvalue()


def text(image: Image.Image) -> str:
    return base64.b64encode(png(image)).decode()


def dark(images: list[Image.Image]) -> list[Image.Image]:
    return [ImageEnhance.Brightness(each).enhance(0.3) for each in images]


def brightness(images: list[Image.Image]) -> list[float]:
    return [ImageStat.Stat(each.convert("L")).mean[0] / 255 for each in images]


@pytest.fixture
def folder(watch: Watch, tmp_path: Path) -> list[Image.Image]:
    """Training images, as a data asset that is a folder of files."""
    known = tiles(80, 1)
    place = tmp_path / "photos"
    place.mkdir()
    for number, image in enumerate(known):
        (place / f"{number:03d}.png").write_bytes(png(image))
    blobs = watch.house.contexts.port(storage.Blobs)
    with watch.house.write("ada", "registry") as ctx:
        data.add_version(ctx, "photos", data.store_path(blobs, place), "uri_folder")
    return known


def test_darker_photographs_are_found_and_the_worst_are_named(watch: Watch, folder: list[Image.Image]) -> None:
    sent = dark(tiles(40, 2))
    ids = watch.answered({"photo": [text(each) for each in sent]}, [0.0] * len(sent))
    watch.put(SIGNAL.format(reference=TRAINING))
    run = watch.run()
    found = watch.value(run, "photos", "normalized_wasserstein_distance", "photo.brightness")
    one, two = brightness(folder), brightness(sent)
    assert found == pytest.approx(stats.wasserstein_distance(one, two) / numpy.std(one, ddof=1), rel=0.01)
    assert watch.value(run, "photos", "normalized_wasserstein_distance", "photo.width") == 0
    assert watch.value(run, "photos", "unreadable_rate", "photo") == 0
    crossed = {each["column"] for each in watch.signal(run, "photos")["metrics"] if each["alert"]}
    assert {"photo.brightness", "photo.red"} <= crossed and "photo.height" not in crossed
    worst = watch.signal(run, "photos")["moved"][0]
    assert worst["after"]["request"].removesuffix(" row 0") in ids
    assert worst["distance"] >= watch.signal(run, "photos")["moved"][1]["distance"]
    (alert,) = [each for each in watch.alerts() if each.metric == "normalized_wasserstein_distance"]
    assert alert.details["moved"][0]["sentence"].startswith("photo of request-")
    kept = alert.details["examples"]
    assert (
        len(kept) == 20
        and len({each["request"] for each in kept}) == 20
        and {each["request"] for each in kept} <= {*ids}
    )
    looked = examples.look(watch.house.contexts, watch.house.actor("linus"), "prod", run.id, "photos", 3)
    assert looked["inputs"]["photo"] == text(sent[ids.index(kept[3]["request"])])


def test_photographs_like_those_before_are_no_drift(watch: Watch) -> None:
    for seed, start in ((1, NOW - timedelta(days=2)), (2, NOW - timedelta(hours=12))):
        sent = tiles(120, seed)
        watch.answered({"photo": [text(each) for each in sent]}, [0.0] * len(sent), start=start)
    watch.put(SIGNAL.format(reference=""))
    run = watch.run()
    assert watch.signal(run, "photos")["status"] == "ok"
    assert not watch.alerts()


def test_broken_images_are_counted_and_spoil_nothing(watch: Watch, folder: list[Image.Image]) -> None:
    sent = [text(each) for each in tiles(30, 3)]
    broken = [sent[0][:40], "not base64 at all!", base64.b64encode(b"GIF89a").decode(), "[[1, 2], [3]]", "[[[[1]]]]"]
    watch.answered({"photo": sent + broken + [None]}, [0.0] * 36)
    watch.put(SIGNAL.format(reference=TRAINING))
    run = watch.run()
    assert watch.value(run, "photos", "unreadable_rate", "photo") == pytest.approx(5 / 35)
    assert [
        each["alert"] for each in watch.signal(run, "photos")["metrics"] if each["metric"] == "unreadable_rate"
    ] == [True]
    assert watch.value(run, "photos", "normalized_wasserstein_distance", "photo.brightness") < 0.5


def test_pixels_are_images_too(watch: Watch) -> None:
    """What a model that takes tensors was sent stands in the log as the text of its numbers."""
    watch.training(pl.DataFrame({"image": [str(numpy.asarray(each).tolist()) for each in tiles(20, 1)]}))
    sent = [str((numpy.asarray(each) / 255).round(4).tolist()) for each in dark(tiles(20, 2))]
    watch.answered({"image": sent}, [0.0] * 20)
    watch.put(
        "photos:\n  type: image_drift\n  features: image\n  reference_data:\n"
        "    input_data: {type: uri_file, path: 'azureml:training@latest'}\n    data_context: training\n"
    )
    run = watch.run()
    assert watch.value(run, "photos", "normalized_wasserstein_distance", "image.brightness") > 0.5


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ([], "the production window has no images"),
        (["broken"], "no image could be read"),
    ],
)
def test_what_cannot_be_compared_says_why(watch: Watch, folder: list[Image.Image], sent: list[str], said: str) -> None:
    watch.answered({"photo": sent}, [0.0] * len(sent))
    watch.put(SIGNAL.format(reference=TRAINING).replace(", unreadable_rate: 0.1", ""))
    found = watch.signal(watch.run(), "photos")
    assert (found["status"], found["reason"]) == ("not_checked", said)


def test_a_column_that_is_not_there_says_so(watch: Watch, folder: list[Image.Image]) -> None:
    watch.answered({"picture": [text(tiles(1, 1)[0])]}, [0.0])
    watch.put(SIGNAL.format(reference=TRAINING))
    found = watch.signal(watch.run(), "photos")
    assert (found["status"], found["reason"]) == ("not_checked", "The images' column 'photo' is not in the data")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_of_image_becomes_pixels(mode: str) -> None:
    photo = tiles(1, 4)[0]
    image = Image.new("I;16", (48, 32), 7) if mode == "I;16" else photo.convert(mode)
    held = io.BytesIO()
    image.save(held, "TIFF")
    found = pictures.decode(held.getvalue())
    assert found.shape[:2] == (32, 48) and found.ndim in (2, 3)


@pytest.mark.parametrize("image", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_formats_and_data_urls_are_read(image: str) -> None:
    held = io.BytesIO()
    tiles(1, 5)[0].save(held, image)
    url = f"data:image/{image.lower()};base64,{base64.b64encode(held.getvalue()).decode()}"
    assert pictures.decode(url).shape == (32, 48, 3)


def test_channels_first_are_moved_last() -> None:
    assert pictures.decode(numpy.zeros((3, 32, 48)).tolist()).shape == (32, 48, 3)
    assert pictures.decode(numpy.zeros((32, 48, 3))).shape == (32, 48, 3)


def test_an_image_that_claims_to_be_huge_is_refused_before_it_is_unpacked() -> None:
    held = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(held, "PNG")
    with pytest.raises(errors.TooLarge, match="10000 x 10000 pixels"):
        pictures.decode(held.getvalue())


@pytest.mark.parametrize("value", [b"", b"GIF89a", "", "data:image/png;base64,####", [["a"]], [1, 2], {"a": 1}])
def test_what_is_no_image_is_refused(value: Any) -> None:
    with pytest.raises(errors.InvalidInput):
        pictures.decode(value)
