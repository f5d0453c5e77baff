"""The vision components as jobs run them: trained, judged, served through a graph of ONNX, fine-tuned, and refusing."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, f1_score

import torches

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("vision_cases.py")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``vision_cases`` printed."""
    command = [sys.executable, str(SCRIPT), str(tmp_path_factory.mktemp("vision"))]
    environment = torches.environment()
    environment["PYTHONPATH"] += os.pathsep + str(torches.beside("transformers~=5.24.0"))
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    answered: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answered


def test_a_classifier_is_judged_beside_the_majority_and_in_slices(found: dict[str, Any]) -> None:
    assert found["code"] == [0, ""]
    told = found["classification"]
    truth = [at for at, row in enumerate(told["confusion"]) for _ in range(sum(row))]
    said = [to for row in told["confusion"] for to, count in enumerate(row) for _ in range(count)]
    assert told["metrics"]["accuracy"] == pytest.approx(accuracy_score(truth, said))
    assert told["metrics"]["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro"))
    assert told["metrics"]["accuracy"] > 0.5 > told["baseline"]["metrics"]["accuracy"] + 0.3
    assert told["rows"] == {"train": 480, "test": 120} and len(told["by_class"]) == 10
    slices = {(row["slice"], row["value"], row["severity"]): row for row in told["slices"]}
    assert {("brightness", each, "") for each in ("dark", "middle", "bright")} < set(slices)
    assert sum(int(row["rows"]) for row in told["slices"] if row["slice"] == "brightness") == 120
    assert len([key for key in slices if key[0] == "corruption"]) == 12
    worst, least = (float(slices["corruption", "noise", each]["accuracy"]) for each in ("5.0", "1.0"))
    assert worst < least and told["metrics"]["accuracy.corruption.noise.5"] == pytest.approx(worst)


def test_its_model_is_served_through_a_graph_with_the_same_answers(found: dict[str, Any]) -> None:
    served = found["served"]
    assert served["described"]["plan"]["used"] and served["described"]["plan"]["graph"] == "torch"
    assert served["described"]["plan"]["largest_difference"] <= 1e-5 and served["reviewed"] is None
    assert served["described"]["metadata"]["task"] == "image_classification" and served["described"]["together"]
    for one in (served["planned"], *served["together"]):
        for row, native, prediction in zip(one, served["native"], found["frame"]["prediction"], strict=True):
            np.testing.assert_allclose(row["probabilities"], native["probabilities"], atol=1e-5)
            assert row["prediction"] == native["prediction"] == prediction
            assert row["probability"] == max(row["probabilities"]) and sum(row["probabilities"]) == pytest.approx(1)
    assert len(served["together"]) == 2 and found["example_rows"] == 4
    assert sum(int(said) == true for said, true in zip(found["frame"]["prediction"], found["truth"], strict=True)) >= 3


def test_a_broken_image_is_the_callers_mistake(found: dict[str, Any]) -> None:
    assert found["served"]["refused"].startswith("BadImage True row 0, column 'image': the image cannot be read")


def test_a_segmentation_finds_the_digits_and_answers_with_masks_of_the_image_s_size(found: dict[str, Any]) -> None:
    told = found["segmentation"]["metrics"]
    assert told["miou"] > 0.65 > found["segmentation"]["baseline"]["metrics"]["miou"]
    assert told["miou"] == pytest.approx((told["iou.background"] + told["iou.digit"]) / 2)
    (answer,) = found["masked"]["planned"]
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["mask"]))))
    assert mask.shape == (64, 96) and set(np.unique(mask)) == {0, 1}
    assert answer["shares"] == pytest.approx([(mask == 0).mean(), (mask == 1).mean()])
    assert found["masked"]["native"] == [answer] and found["masked"]["described"]["plan"]["used"]


def test_a_backbone_by_path_is_fine_tuned_and_served(found: dict[str, Any]) -> None:
    own, script = found["own"], found["script"]
    first = found["classification"]["metrics"]["accuracy"]
    assert own["measured"]["metrics"]["accuracy"] > first - 0.1, "it began with what the first had learnt"
    assert script["code"] == 0 and script["served"]["described"]["plan"]["used"]
    np.testing.assert_allclose(
        [row["probability"] for row in script["served"]["planned"]],
        [row["probability"] for row in script["served"]["native"]], atol=1e-5,
    )  # fmt: skip


def test_a_checkpoint_that_does_not_fit_and_a_broken_image_leave_nothing(found: dict[str, Any]) -> None:
    assert found["other"]["code"] == found["text"]["code"] == 65
    assert "other.pt: the backbone cannot be used: none of its layers (nothing.here, ...)" in found["other"]["said"]
    assert "neither TorchScript nor a state dict of tensors alone" in found["text"]["said"]
    assert found["contract"][0] == 65 and "the images breaks contract.yml: column width" in found["contract"][1]
    code, said, left = found["broken"]
    assert code == 65 and not left
    assert "1 of 601 images are broken: 0/bad.png: the image cannot be read" in said


def test_checkpoints_of_hugging_face_by_path_are_fine_tuned_and_served(found: dict[str, Any]) -> None:
    told = found["checkpoints"]
    assert {name: each["code"] for name, each in told.items() if name != "as_its_own_backbone"} == {
        "vit image_classification": 0, "resnet image_classification": 0, "bert image_classification": 65,
        "dinov2 semantic_segmentation": 0, "segformer semantic_segmentation": 0, "vit semantic_segmentation": 0,
    }, told  # fmt: skip
    assert "takes no images of" in told["bert image_classification"]["said"]
    assert "You must specify exactly one of input_ids" in told["bert image_classification"]["said"]
    sizes = {name: [each["told"][key] for key in ("channels", "height", "width")]
             for name, each in told.items() if isinstance(each, dict) and "told" in each}  # fmt: skip
    # Grey images of 16 x 16 and 32 x 64 pixels; a ViT takes colours, in the size that it was trained with alone.
    assert sizes == {
        "vit image_classification": [3, 32, 32], "resnet image_classification": [3, 16, 16],
        "dinov2 semantic_segmentation": [3, 32, 64], "segformer semantic_segmentation": [3, 32, 64],
        "vit semantic_segmentation": [3, 32, 32],
    }  # fmt: skip
    assert told["vit image_classification"]["told"]["mean"] == [0.5, 0.4, 0.3]
    for name in sizes:
        served = told[name]["served"]
        assert served["described"]["plan"]["used"], name
        if name.endswith("classification"):
            assert sum(served["planned"][0]["probabilities"]) == pytest.approx(1)
        else:
            mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(served["native"][0]["mask"]))))
            assert mask.shape == (20, 40)


def test_patches_of_an_image_that_is_no_square_lie_where_they_were(found: dict[str, Any]) -> None:
    assert found["checkpoints"]["as_its_own_backbone"] < 1e-6
