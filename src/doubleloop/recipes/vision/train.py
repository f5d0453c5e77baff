"""Trains a network for images: reads, checks, fits, judges on images it has not seen, and leaves an MLflow model.

``--task image_classification`` or ``semantic_segmentation``; every option is an input or output of the component.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from dataclasses import replace
from typing import Any

import numpy
import pandas

from ..shared import contracts, evaluations
from . import backbones, evaluating, faults, measures, networks, preparing, reading, saving, training

LOG = logging.getLogger("doubleloop")
TASKS = ("image_classification", "semantic_segmentation")
_TEXTS = ("images", "labels", "more-images", "more-labels", "test-images", "test-labels", "backbone", "classes",
          "file-column", "label-column", "slice-columns", "contract")  # fmt: skip


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", choices=TASKS, required=True)
    for name in _TEXTS:
        parser.add_argument("--" + name, default="")
    parser.add_argument("--colour", choices=("auto", "grey", "rgb"), default="auto")
    for name, default, least, most in (
        ("image-size", 0, 0, 1024), ("filters", 16, 1, 512), ("epochs", 3, 1, 10_000), ("batch-size", 64, 2, 4096),
        ("robustness-rows", 1000, 0, 10**9), ("seed", 0, 0, 2**31), ("threads", 1, 1, 1024),
    ):  # fmt: skip
        parser.add_argument("--" + name, type=_whole(least, most), default=default)
    parser.add_argument("--learning-rate", type=float, default=0.005)
    parser.add_argument("--freeze-backbone", type=_flag, default=False)
    parser.add_argument("--test-share", type=_share, default=0.2)
    parser.add_argument("--model", required=True)
    parser.add_argument("--evaluation", required=True)


def run(asked: argparse.Namespace) -> None:
    """Raises BadData; nothing is written before all data was read."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    training.begin(asked.seed, asked.threads)
    labels, shape, data, held = _data(asked)
    LOG.info("%s images to train on, %s to judge by, %s classes", len(data), len(held), len(labels))
    network, told, script = _network(asked, labels, shape, data)
    settings = training.Settings(asked.epochs, asked.batch_size, asked.learning_rate, asked.freeze_backbone, asked.seed)
    began = time.monotonic()
    training.fit(network, data, settings, lambda name, value, step: evaluations.log({name: value}, step))
    _judge(asked, network, labels, data, held, time.monotonic() - began)
    saving.model(network, told, held.images, script, asked.model)


def _data(asked: argparse.Namespace) -> tuple[list[str], preparing.Shape, preparing.Arrays, preparing.Arrays]:
    """Labels, the shape of images, what is trained on and what is judged by."""
    segments = asked.task == "semantic_segmentation"
    groups = tuple(each.strip() for each in asked.slice_columns.split(",") if each.strip())
    columns = reading.Columns(asked.file_column, asked.label_column, groups)
    learn = reading.examples(asked.images, asked.labels, columns, masks=segments)
    if asked.more_images or asked.more_labels:
        learn += reading.examples(asked.more_images, asked.more_labels, columns, masks=segments)
    test = []
    if asked.test_images or asked.test_labels:
        test = reading.examples(asked.test_images, asked.test_labels, columns, masks=segments)
    labels = preparing.classes([*learn, *test], asked.classes, segments)
    shape = _shape(asked, learn, segments)
    data = preparing.arrays(learn, shape, labels, segments)
    contracts.keep(preparing.table(learn, data), asked.contract, "the images")
    if test:
        held = preparing.arrays(test, shape, labels, segments)
        contracts.keep(preparing.table(test, held), asked.contract, "the images to judge by")
        return labels, shape, data, held
    rows, others = preparing.split(len(data), data.targets, asked.test_share, asked.seed)
    return labels, shape, data.rows(rows), data.rows(others)


def _shape(asked: argparse.Namespace, learn: list[reading.Example], segments: bool) -> preparing.Shape:
    """Size and colour as asked for; what is left open, as the images are, or as the backbone takes them."""
    shape = preparing.shape(learn, asked.image_size, asked.colour, 4 if segments else 1)
    if not asked.backbone or not os.path.isdir(asked.backbone) or (asked.image_size and asked.colour != "auto"):
        return shape
    told = {"task": asked.task, "channels": shape.channels, "height": shape.height, "width": shape.width}
    try:
        takes = backbones.fitting(asked.backbone, told)
    except backbones.BadBackbone as error:
        raise _bad_backbone(error, asked.backbone) from None
    if asked.colour == "auto":
        shape = replace(shape, mode="L" if takes["channels"] == 1 else "RGB")
    return shape if asked.image_size else replace(shape, height=takes["height"], width=takes["width"])


def _bad_backbone(error: backbones.BadBackbone, path: str) -> faults.BadData:
    return faults.BadData(
        f"the backbone cannot be used: {error}", path, "Give a state dict, TorchScript, or a folder of Hugging Face"
    )


def _network(
    asked: argparse.Namespace, labels: list[str], shape: preparing.Shape, data: preparing.Arrays
) -> tuple[networks.Network, dict[str, Any], Any]:
    """The network, how it was made, and the TorchScript of its backbone if it has one."""
    mean, std = _scale(data.images)
    told: dict[str, Any] = {
        "architecture": "small", "task": asked.task, "labels": labels, "classes": len(labels), "filters": asked.filters,
        "channels": shape.channels, "height": shape.height, "width": shape.width, "mean": mean, "std": std,
    }  # fmt: skip
    if not asked.backbone:
        return networks.Network(told), told, None
    try:
        told, backbone, weights = backbones.told_of(asked.backbone, told)
        if told["channels"] != shape.channels:
            raise backbones.BadBackbone("it was trained on {} channels".format(told["channels"]))
        network = networks.Network(told, backbone)
        if weights:
            fresh = backbones.begin(network, weights)
            LOG.info("fine-tuned from %s; new: %s", asked.backbone, ", ".join(fresh) or "nothing")
    except backbones.BadBackbone as error:
        raise _bad_backbone(error, asked.backbone) from None
    return network, told, backbone if told["architecture"] == "torchscript" else None


def _scale(images: numpy.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, 0 to 1."""
    light = images.reshape(-1, images.shape[-1])
    return (light.mean(axis=0) / 255.0).tolist(), numpy.maximum(light.std(axis=0) / 255.0, 1e-3).tolist()


def _judge(
    asked: argparse.Namespace, network: networks.Network, labels: list[str], data: preparing.Arrays,
    held: preparing.Arrays, seconds: float,
) -> None:  # fmt: skip
    """Writes the output ``evaluation``."""
    segments = network.segments

    def predict(images: numpy.ndarray) -> numpy.ndarray:
        return training.predicted(network, images)

    counts = measures.confusion(held.targets, predict(held.images), len(labels))
    learnt = numpy.bincount(data.targets[data.targets != measures.IGNORED].reshape(-1), minlength=len(labels))
    most = int(learnt.argmax())
    ours = evaluating.metrics(counts, segments)
    rows = evaluating.slices(held, predict, len(labels), segments, asked.robustness_rows)
    classes = measures.per_class(counts, labels)
    by_class = {"iou.{}".format(each["label"]): each["iou"] for each in classes if segments and each["iou"] is not None}
    evaluations.write(
        asked.evaluation, task=asked.task, primary=next(iter(ours)),
        metrics={**ours, **by_class, **evaluating.flat(rows, list(ours))},
        baseline="majority class", baseline_metrics=evaluating.metrics(measures.majority(counts, most), segments),
        rows={"train": len(data), "test": len(held)}, slices=pandas.DataFrame(rows),
        more={"labels": labels, "by_class": classes, "confusion": counts.tolist(), "train_seconds": round(seconds, 2)},
    )  # fmt: skip


def _whole(least: int, most: int) -> Any:
    def number(text: str) -> int:
        if not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not between {least} and {most}")
        return int(text)

    return number


def _share(text: str) -> float:
    if not 0 < float(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return float(text)


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text} is neither true nor false")
    return text.lower() == "true"
