"""A larger network by path, to be fine-tuned: weights of this component, TorchScript, or a folder of Hugging Face."""

from __future__ import annotations

import json
import os
from typing import Any

import torch
from torch import nn

from . import networks


class BadBackbone(ValueError):
    """What the checkpoint at a path lacks."""


def told_of(path: str, told: dict[str, Any]) -> tuple[dict[str, Any], nn.Module | None, dict[str, torch.Tensor]]:
    """How the network is made now, its backbone where it is there already, and weights to begin with.

    ``told``: the network without a backbone. Raises BadBackbone.
    """
    if os.path.isdir(path):
        if os.path.isfile(os.path.join(path, "network.json")) or os.path.isdir(os.path.join(path, "data")):
            return _own(path, told)
        if os.path.isfile(os.path.join(path, "config.json")):
            return _hugging_face(path, told)
        raise BadBackbone("the folder has no config.json of Hugging Face and no network.json of this component")
    if not os.path.isfile(path):
        raise BadBackbone("there is no such file")
    script = _script(path)
    if script is not None:
        return _with_script(script, told)
    return told, None, _state(path)


def fitting(path: str, told: dict[str, Any]) -> dict[str, Any]:
    """``channels``, ``height`` and ``width`` that a folder of Hugging Face takes images in: those of ``told`` where it
    takes them, else its own; of other folders those of ``told``. Raises BadBackbone."""
    config = os.path.join(path, "config.json")
    same = {key: told[key] for key in ("channels", "height", "width")}
    if not os.path.isfile(config) or os.path.isfile(os.path.join(path, "network.json")):
        return same
    with open(config, encoding="utf-8") as file:
        known = json.load(file)
    channels = known.get("num_channels", same["channels"])
    same["channels"] = channels if channels in (1, 3) else same["channels"]
    size = known.get("image_size")
    sides = size if isinstance(size, list) else [size, size]
    try:
        _hugging_face(path, {**told, **same})
    except BadBackbone:
        if len(sides) == 2 and all(isinstance(each, int) and each > 0 for each in sides):
            return {**same, "height": sides[0], "width": sides[1]}
        raise
    return same


def begin(network: nn.Module, weights: dict[str, torch.Tensor]) -> list[str]:
    """Give the network what fits of ``weights``, and say which of its own layers begin anew. Raises BadBackbone when
    nothing fits."""
    own = network.state_dict()
    known = {name: value for name, value in _names(weights, own).items() if own[name].shape == value.shape}
    learnt = [name for name in own if not name.startswith("scaled.")]
    if not any(name in known for name in learnt if "backbone" in name):
        first = ", ".join(list(weights)[:3])
        raise BadBackbone(f"none of its layers ({first}, ...) is one of the network's")
    network.load_state_dict(known, strict=False)
    return [name for name in learnt if name not in known]


def _names(weights: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Under the network's own names: as they are, or without ``backbone.`` before them."""
    found = {}
    for name, value in weights.items():
        for each in (name, "backbone." + name):
            if each in own and not each.startswith("scaled."):
                found[each] = value
    return found


def _script(path: str) -> Any:
    try:
        return torch.jit.load(path, map_location="cpu")
    except RuntimeError:
        return None


def _with_script(script: Any, told: dict[str, Any]) -> tuple[dict[str, Any], nn.Module | None, dict[str, Any]]:
    features = _features(script, told)
    return {**told, "architecture": "torchscript", "features": features}, script, {}


def _features(module: nn.Module, told: dict[str, Any]) -> int:
    """How many features it sees of an image. Raises BadBackbone when it takes no such image."""
    try:
        with torch.no_grad():
            found = module.eval()(torch.zeros(2, told["channels"], told["height"], told["width"]))
    except Exception as error:  # torch's own, or whatever the checkpoint's code says of what it was given
        lines = str(error).strip().splitlines() or [type(error).__name__]
        size = (told["channels"], told["height"], told["width"])
        raise BadBackbone("it takes no images of {} x {} x {}: {}".format(*size, lines[-1])) from None
    wanted = (4,) if told["task"] == "semantic_segmentation" else (2, 4)
    if not isinstance(found, torch.Tensor) or found.ndim not in wanted:
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise BadBackbone("it answers with {}, and {} axes are needed".format(shape, " or ".join(map(str, wanted))))
    return int(found.shape[1])


def _hugging_face(path: str, told: dict[str, Any]) -> tuple[dict[str, Any], nn.Module | None, dict[str, Any]]:
    try:
        import transformers
    except ImportError:
        raise BadBackbone("the environment has no transformers, which a folder of Hugging Face needs") from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        inner = transformers.AutoModel.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError) as error:
        raise BadBackbone(str(error).splitlines()[0]) from None
    settings = {**inner.config.to_dict(), "model_type": inner.config.model_type}
    made = {
        **told,
        "architecture": "huggingface",
        "config": json.loads(json.dumps(settings, default=str)),
        "features": 1,
    }
    backbone = networks.HuggingFace(made)
    backbone.inner.load_state_dict(inner.state_dict())
    made["features"] = backbone.features = _features(backbone, told)
    return {**made, **_scale(path, told["channels"])}, backbone, {}


def _scale(path: str, channels: int) -> dict[str, Any]:
    """Mean and standard deviation of the light that it was trained with, where it says so; else nothing."""
    file = os.path.join(path, "preprocessor_config.json")
    if not os.path.isfile(file):
        return {}
    with open(file, encoding="utf-8") as opened:
        known = json.load(opened)
    mean, std = known.get("image_mean"), known.get("image_std")
    good = isinstance(mean, list) and isinstance(std, list) and len(mean) == len(std) == channels
    return {"mean": mean, "std": std} if good and all(each > 0 for each in std) else {}


def _own(path: str, told: dict[str, Any]) -> tuple[dict[str, Any], nn.Module | None, dict[str, Any]]:
    """A model that this component made: its folder, or that of MLflow around it."""
    import numpy

    folder = next(
        (each for each in (path, os.path.join(path, "data"), *_below(path)) if _is_own(each)), None
    )  # fmt: skip
    if folder is None:
        raise BadBackbone("the folder has no network.json of this component")
    with open(os.path.join(folder, "network.json"), encoding="utf-8") as file:
        known = json.load(file)
    if known["task"] != told["task"]:
        raise BadBackbone("it was trained for {}".format(known["task"]))
    with numpy.load(os.path.join(folder, "weights.npz"), allow_pickle=False) as file:
        weights = {name: torch.from_numpy(file[name]) for name in file.files}
    kept = ("architecture", "filters", "channels", "mean", "std", "config", "features")
    made = {**told, **{key: known[key] for key in kept if key in known}}
    if made["architecture"] == "torchscript":
        return made, torch.jit.load(os.path.join(folder, "backbone.pt"), map_location="cpu"), weights
    return made, None, weights


def _below(path: str) -> list[str]:
    data = os.path.join(path, "data")
    return [os.path.join(data, each) for each in sorted(os.listdir(data))] if os.path.isdir(data) else []


def _is_own(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "network.json"))


def _state(path: str) -> dict[str, torch.Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # whatever the unpickler ran into; torch's own advice is to trust the file
        raise BadBackbone("it is neither TorchScript nor a state dict of tensors alone") from None
    for key in ("state_dict", "model", "model_state_dict"):
        found = found[key] if isinstance(found, dict) and isinstance(found.get(key), dict) else found
    weights = {str(name): value for name, value in found.items() if isinstance(value, torch.Tensor)}
    if not weights:
        raise BadBackbone("it holds no tensors by name")
    return weights
