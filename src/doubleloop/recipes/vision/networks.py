"""The networks: small ones that train on two processors in minutes, and larger ones around a backbone that is given."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

# How a network was made is a plain dict, kept with its weights: {"architecture", "task", "channels", "classes",
# "filters", "mean", "std"}, and what a backbone needs.
# Tokens beside those of patches: of the class, of distillation, registers.
MOST_EXTRA = 16
ARCHITECTURES = ("small", "torchscript", "huggingface")


class Scaled(nn.Module):
    """Pixels 0 to 255 to numbers around 0: part of the network, so that nobody scales twice or otherwise."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return (pixels / 255.0 - self.mean) / self.std


def _block(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
    )


class SmallCnn(nn.Module):
    """Three stages of convolutions, each half as large and twice as wide, and the mean over what is left."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.features = filters * 4
        self.stages = nn.Sequential(
            _block(channels, filters), nn.MaxPool2d(2),
            _block(filters, filters * 2), nn.MaxPool2d(2),
            _block(filters * 2, filters * 4),
        )  # fmt: skip

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.stages(images)


class UNet(nn.Module):
    """Three levels of O. Ronneberger et al. 2015, *U-Net*, with batch normalisation; sides are multiples of 4."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.features = filters
        self.down_1, self.down_2 = _pair(channels, filters), _pair(filters, filters * 2)
        self.bottom = _pair(filters * 2, filters * 4)
        self.up_2 = nn.ConvTranspose2d(filters * 4, filters * 2, 2, stride=2)
        self.join_2 = _pair(filters * 4, filters * 2)
        self.up_1 = nn.ConvTranspose2d(filters * 2, filters, 2, stride=2)
        self.join_1 = _pair(filters * 2, filters)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = self.down_1(images)
        second = self.down_2(functional.max_pool2d(first, 2))
        bottom = self.bottom(functional.max_pool2d(second, 2))
        second = self.join_2(torch.cat([self.up_2(bottom), second], dim=1))
        return self.join_1(torch.cat([self.up_1(second), first], dim=1))


def _pair(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(_block(inside, outside), _block(outside, outside))


class HuggingFace(nn.Module):
    """A vision model of transformers, from its configuration: what it sees of an image, as features.

    Maps (a convolutional network) stay maps; tokens (a transformer) become their mean for classification, and the map
    that they are patches of for segmentation.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__()
        try:
            import transformers
        except ImportError:
            raise ImportError("a Hugging Face backbone needs the package transformers in the environment") from None
        settings = {key: value for key, value in told["config"].items() if key != "model_type"}
        config = transformers.AutoConfig.for_model(told["config"]["model_type"], **settings)
        self.inner = transformers.AutoModel.from_config(config)
        self.features = int(told["features"])
        self.patch = told["config"].get("patch_size")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = self.inner(pixel_values=images, return_dict=True).last_hidden_state
        if found.ndim == 4:
            return found
        rows, columns = grid(int(found.shape[1]), int(images.shape[2]), int(images.shape[3]), self.patch)
        patches = found[:, found.shape[1] - rows * columns :]  # without the tokens for the whole image, which are first
        return patches.transpose(1, 2).reshape(found.shape[0], -1, rows, columns)


def grid(tokens: int, height: int, width: int, patch: Any) -> tuple[int, int]:
    """Rows and columns of the patches that ``tokens`` are, but for a few of the whole image: patches of ``patch``
    pixels, or of twice as many, and so on, where a network joins them. Raises ValueError."""
    sides = [patch * 2**step for step in range(8)] if isinstance(patch, int) and patch > 0 else []
    for tried in (sides, range(1, max(height, width) + 1)):
        found = []
        for side in tried:
            for rows, columns in ((height // side, width // side), (-(-height // side), -(-width // side))):
                if 0 <= tokens - rows * columns <= MOST_EXTRA and rows * columns:
                    found.append((tokens - rows * columns, rows, columns))
        if found:
            return min(found)[1:]
    raise ValueError(f"its {tokens} tokens are no patches of an image of {height} x {width}")


class Network(nn.Module):
    """Pixels ``(n, channels, height, width)``, 0 to 255, to probabilities: ``(n, classes)`` for classification,
    ``(n, classes, height, width)`` for segmentation."""

    def __init__(self, told: dict[str, Any], backbone: nn.Module | None = None) -> None:
        super().__init__()
        self.scaled = Scaled(told["mean"], told["std"])
        self.backbone = backbone if backbone is not None else _backbone(told)
        features = int(told.get("features") or self.backbone.features)
        self.segments = told["task"] == "semantic_segmentation"
        self.head: nn.Module
        if self.segments:
            self.head = nn.Conv2d(features, told["classes"], 1)
        else:
            self.head = nn.Sequential(nn.Dropout(0.1), nn.Linear(features, told["classes"]))

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        found = self.backbone(self.scaled(pixels))
        if not self.segments:
            return self.head(found.mean(dim=(2, 3)) if found.ndim == 4 else found)
        made = self.head(found)
        if made.shape[2:] == pixels.shape[2:]:
            return made
        return functional.interpolate(made, size=pixels.shape[2:], mode="bilinear", align_corners=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.logits(pixels).softmax(dim=1)


def _backbone(told: dict[str, Any]) -> nn.Module:
    kind = told["architecture"]
    if kind == "huggingface":
        return HuggingFace(told)
    if kind == "torchscript":
        return torch.jit.load(told["script"], map_location="cpu")
    made = UNet if told["task"] == "semantic_segmentation" else SmallCnn
    return made(int(told["channels"]), int(told["filters"]))
