"""Fitting a network to arrays, batch by batch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy
import torch
from torch.nn import functional

from . import networks
from .measures import IGNORED
from .preparing import Arrays

LOG = logging.getLogger("doubleloop")
AT_ONCE = 256


@dataclass(frozen=True)
class Settings:
    """``learning_rate``: the highest of one cycle (L. Smith 2018, *A disciplined approach to neural network
    hyper-parameters*), which falls to nothing at the end. ``frozen``: only what is new around the backbone learns."""

    epochs: int = 3
    batch_size: int = 64
    learning_rate: float = 0.005
    frozen: bool = False
    seed: int = 0


def begin(seed: int, threads: int) -> None:
    """Before a network is made: the same seed makes the same one. More threads than processors are free wait for each
    other at every step, which costs small networks more than it gains."""
    torch.manual_seed(seed)
    torch.set_num_threads(threads)


def fit(network: networks.Network, data: Arrays, settings: Settings, told: Callable[[str, float, int], None]) -> None:
    """``told`` is given the mean loss of each epoch: name, value, epoch."""
    generator = numpy.random.default_rng(settings.seed)
    if settings.frozen:
        for each in network.backbone.parameters():
            each.requires_grad_(False)
    learning = [each for each in network.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=settings.learning_rate)
    steps = settings.epochs * -(-len(data) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=max(steps, 2))
    for epoch in range(settings.epochs):
        began, losses = time.monotonic(), []
        network.train()
        if settings.frozen:
            network.backbone.eval()
        order = generator.permutation(len(data))
        for start in range(0, len(order), settings.batch_size):
            rows = order[start : start + settings.batch_size]
            if len(rows) > 1 or len(order) == 1:  # batch normalisation has nothing to say of one row
                losses.append(_step(network, data, rows, optimiser))
            schedule.step()
        mean = float(numpy.mean(losses))
        told("train_loss", mean, epoch + 1)
        LOG.info("epoch %s of %s: loss %.4f, %.1f s", epoch + 1, settings.epochs, mean, time.monotonic() - began)
    network.eval()


def _step(network: networks.Network, data: Arrays, rows: numpy.ndarray, optimiser: torch.optim.Optimizer) -> float:
    targets = torch.from_numpy(data.targets[rows].astype(numpy.int64))
    optimiser.zero_grad()
    loss = functional.cross_entropy(network.logits(pixels(data.images[rows])), targets, ignore_index=IGNORED)
    loss.backward()
    optimiser.step()
    return float(loss.detach())


def pixels(images: numpy.ndarray) -> torch.Tensor:
    """Shape (n, height, width, channels) to (n, channels, height, width), 32 bits."""
    return torch.from_numpy(numpy.ascontiguousarray(images.transpose(0, 3, 1, 2))).float()


def predicted(network: networks.Network, images: numpy.ndarray) -> numpy.ndarray:
    """The likeliest class: shape (n,), or (n, height, width) for segmentation."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), AT_ONCE):
            found.append(network(pixels(images[start : start + AT_ONCE])).argmax(dim=1).numpy())
    return numpy.concatenate(found)
