"""The MLflow model: images in, labels or masks out. Loaded by ``mlflow.pyfunc`` through ``_load_pyfunc``.

Its folder holds ``network.json`` (how the network was made, the labels, the size of images), ``weights.npz`` (arrays by
name, no pickle) and, for a backbone of TorchScript, ``backbone.pt``.
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import numpy
import pandas
import torch

from . import networks, pictures

COLUMN = "image"
AT_ONCE = 64


class VisionModel:
    """``torch_module``, ``encode`` and ``decode`` let a server run the network by other means than torch: an answer is
    ``decode(torch_module(encode(frame)))``."""

    # An image's answer does not depend on the images beside it.
    rows_stand_alone = True

    def __init__(self, folder: str) -> None:
        with open(os.path.join(folder, "network.json"), encoding="utf-8") as file:
            self.told: dict[str, Any] = json.load(file)
        told = {**self.told, "script": os.path.join(folder, "backbone.pt")}
        network = networks.Network(told)
        with numpy.load(os.path.join(folder, "weights.npz"), allow_pickle=False) as file:
            network.load_state_dict({name: torch.from_numpy(file[name]) for name in file.files})
        self.torch_module = network.eval()
        self.labels: list[str] = self.told["labels"]
        self.size = (int(self.told["height"]), int(self.told["width"]))
        if told["architecture"] == "torchscript":  # torch's exporter takes no script within a module, but a whole one
            self.torch_module = torch.jit.trace(network, torch.zeros(2, told["channels"], *self.size))
        self.segments = network.segments
        self.mode = "L" if self.told["channels"] == 1 else "RGB"

    def encode(self, frame: pandas.DataFrame) -> tuple[numpy.ndarray, list[tuple[int, int]]]:
        """Pixels of shape ``(n, channels, height, width)``, 32 bits, and the sizes (height, width) that images had.

        Raises BadImage, which names the row.
        """
        found, sizes = [], []
        for row, content in enumerate(frame[COLUMN].tolist()):
            try:
                image = pictures.opened(content, self.mode)
            except pictures.BadImage as error:
                raise pictures.BadImage(f"row {row}, column '{COLUMN}': {error}") from None
            sizes.append((image.height, image.width))
            found.append(pictures.array(image, self.size).transpose(2, 0, 1))
        return numpy.stack(found).astype(numpy.float32), sizes

    def decode(self, shares: numpy.ndarray, sizes: list[tuple[int, int]]) -> pandas.DataFrame:
        """``shares``: probabilities, as the network gives them."""
        return self._masks(shares, sizes) if self.segments else self._classes(shares)

    def predict(self, frame: pandas.DataFrame, params: dict[str, Any] | None = None) -> pandas.DataFrame:
        parts = []
        for start in range(0, len(frame), AT_ONCE):
            pixels, sizes = self.encode(frame.iloc[start : start + AT_ONCE])
            parts.append(self.decode(self.shares(pixels), sizes))
        return pandas.concat(parts, ignore_index=True) if len(parts) != 1 else parts[0]

    def shares(self, pixels: numpy.ndarray) -> numpy.ndarray:
        with torch.inference_mode():
            return self.torch_module(torch.from_numpy(numpy.ascontiguousarray(pixels, dtype=numpy.float32))).numpy()

    def _classes(self, shares: numpy.ndarray) -> pandas.DataFrame:
        best = shares.argmax(axis=1)
        return pandas.DataFrame(
            {
                "prediction": [self.labels[each] for each in best],
                "probability": shares[numpy.arange(len(best)), best].astype(numpy.float64),
                "probabilities": [row.astype(numpy.float64).tolist() for row in shares],
            }
        )

    def _masks(self, shares: numpy.ndarray, sizes: list[tuple[int, int]]) -> pandas.DataFrame:
        masks, covered = [], []
        for each, (height, width) in zip(shares.argmax(axis=1).astype(numpy.uint8), sizes, strict=True):
            whole = _resized(each, height, width)
            masks.append(base64.b64encode(pictures.png(whole)).decode("ascii"))
            counts = numpy.bincount(whole.reshape(-1), minlength=len(self.labels))
            covered.append((counts / whole.size).tolist())
        return pandas.DataFrame({"mask": masks, "shares": covered})


def _resized(mask: numpy.ndarray, height: int, width: int) -> numpy.ndarray:
    """The nearest pixel's class: a class has no middle."""
    rows = (numpy.arange(height) + 0.5) * mask.shape[0] / height
    columns = (numpy.arange(width) + 0.5) * mask.shape[1] / width
    return mask[rows.astype(int)][:, columns.astype(int)]


def _load_pyfunc(folder: str) -> VisionModel:
    return VisionModel(folder)
