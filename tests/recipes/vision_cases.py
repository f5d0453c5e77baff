"""Run in an environment with torch: trains on scikit-learn's digits as a job would, serves what comes of it as a scorer
does, and prints what was found as JSON.

``python vision_cases.py FOLDER``; ``doubleloop`` must be importable.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy
import pandas
import torch
import yaml
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

import doubleloop
from doubleloop.recipes.shared import run
from doubleloop.scorer import answers, mlflow_model

COMPONENTS = Path(doubleloop.__file__).parent / "recipes" / "vision"
SIDE = 16


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(numpy.asarray(pixels).astype(numpy.uint8)).save(file, "PNG")
    return file.getvalue()


def digits(folder: Path, count: int) -> None:
    """Class folders of the first digits, 16 by 16 pixels."""
    held = load_digits()
    for number in range(count):
        place = folder / str(held.target[number])
        place.mkdir(parents=True, exist_ok=True)
        large = numpy.kron(held.images[number] * 255 / 16, numpy.ones((2, 2)))
        (place / f"{number}.png").write_bytes(png(large))


def scenes(folder: Path, count: int) -> None:
    """Digits on a darker ground, and masks of where they are."""
    held, draw = load_digits(), numpy.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        ground, mask = draw.integers(0, 90, (32, 32)), numpy.zeros((32, 32))
        large = numpy.kron(held.images[number] * 255 / 16, numpy.ones((2, 2)))
        y, x = draw.integers(0, 16, 2)
        inside = large > 60
        ground[y : y + 16, x : x + 16][inside] = large[inside]
        mask[y : y + 16, x : x + 16][inside] = 1
        (folder / "images" / f"{number}.png").write_bytes(png(ground))
        (folder / "masks" / f"{number}.png").write_bytes(png(mask))


def trained(component: str, folder: Path, **inputs: Any) -> tuple[int, str]:
    """Runs the component's own command with these inputs: how it ended, and what it said of errors."""
    told = yaml.safe_load((COMPONENTS / f"{component}.yml").read_text())
    values = {name: each.get("default") for name, each in told["inputs"].items()} | inputs
    values |= {"model": folder / "model", "evaluation": folder / "evaluation"}
    words = []
    for part in shlex.split(told["command"].replace("$[[", "'").replace("]]", "'"))[2:]:
        used = [name for name in values if f"puts.{name}}}}}" in part]
        if not used:
            words.append(part)
        elif values[used[0]] is not None:
            flag = part.split()[0] if part.startswith("--") else None
            words += [*([flag] if flag else []), str(values[used[0]])]
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        code = run.main(words)
    return code, said.getvalue()


def measured(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "evaluation" / "metrics.json").read_text())
    table = pandas.read_csv(folder / "evaluation" / "slices.csv", dtype=str, keep_default_na=False)
    return {**found, "slices": table.to_dict("records")}


def served(folder: Path, images: list[bytes]) -> dict[str, Any]:
    """As a scorer loads it, with a plan and without."""
    given = {"rows": len(images), "input": [[base64.b64encode(each).decode() for each in images]]}
    model = mlflow_model.MlflowModel({"model_dir": str(folder / "model"), "cache": str(folder / "cache")})
    plain = mlflow_model.MlflowModel({"model_dir": str(folder / "model"), "compile": False})
    broken = {"rows": 1, "input": [[base64.b64encode(b"no image").decode()]]}
    try:
        model.predict(broken)
        refused = ""
    except Exception as error:
        refused = f"{type(error).__name__} {getattr(error, 'bad_request', None)} {error}"
    planned = json.loads(answers.encode(model.predict(given)))
    return {
        "described": model.describe(), "planned": planned, "native": json.loads(answers.encode(plain.predict(given))),
        "together": [json.loads(answers.encode(each)) for each in model.predict_together([(given, b"")] * 2) or []],
        "reviewed": model.review(), "refused": refused,
    }  # fmt: skip


class Backbone(nn.Module):
    """Features as a map, as of a convolutional network somebody trained elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 24, 3, stride=2, padding=1), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


def checkpoints(folder: Path) -> dict[str, Any]:
    """Small checkpoints of Hugging Face, made here and given by their paths; images and masks also twice as wide."""
    import transformers as hf

    hf.logging.set_verbosity_error()
    hf.logging.disable_progress_bar()
    layer = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    configs = {
        "vit": hf.ViTConfig(image_size=32, patch_size=8, intermediate_size=16, **layer),
        "dinov2": hf.Dinov2Config(image_size=16, patch_size=8, mlp_ratio=1, **layer),
        "resnet": hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"),
        "segformer": hf.SegformerConfig(
            num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 16], patch_sizes=[3, 3],
            strides=[2, 2], num_attention_heads=[1, 2], mlp_ratios=[1, 1],
        ),
        "bert": hf.BertConfig(vocab_size=50, intermediate_size=16, **layer),
    }  # fmt: skip
    for name, config in configs.items():
        hf.AutoModel.from_config(config).save_pretrained(folder / name)
    (folder / "vit" / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.4, 0.3], "image_std": [1, 1, 1]}')
    for part in ("images", "masks"):
        (folder / "wide" / part).mkdir(parents=True)
        for file in sorted((folder / "scenes" / part).iterdir())[:24]:
            one = numpy.asarray(Image.open(file))
            (folder / "wide" / part / file.name).write_bytes(png(numpy.hstack([one, one])))
    classify = {"images": folder / "some", "label_column": None, "epochs": 1, "robustness_rows": 0, "batch_size": 16}
    segment = {
        "images": folder / "wide",
        "classes": "background,digit",
        "epochs": 1,
        "robustness_rows": 0,
        "batch_size": 8,
    }
    digits(folder / "some", 80)
    found: dict[str, Any] = {}
    for name, component, inputs in (
        ("vit", "image_classification", classify), ("resnet", "image_classification", classify),
        ("bert", "image_classification", classify), ("dinov2", "semantic_segmentation", segment),
        ("segformer", "semantic_segmentation", segment), ("vit", "semantic_segmentation", segment),
    ):  # fmt: skip
        place = folder / f"{name}-{component}"
        code, said = trained(component, place, backbone=folder / name, learning_rate=0.001, **inputs)
        each: dict[str, Any] = {"code": code, "said": said}
        if not code:
            (told,) = place.glob("model/data/*/network.json")
            each["told"] = {key: value for key, value in json.loads(told.read_text()).items() if key != "config"}
            each["served"] = served(place, [png(numpy.full((20, 40), 90))])
        found[f"{name} {component}"] = each
    return {**found, "as_its_own_backbone": _maps(folder / "dinov2")}


def _maps(path: Path) -> float:
    """How far the features of an image that is no square are from those that transformers itself lays out as a map."""
    import transformers as hf

    from doubleloop.recipes.vision import networks

    theirs = hf.Dinov2Backbone.from_pretrained(path, out_indices=[1], apply_layernorm=True, reshape_hidden_states=True)
    config = {**theirs.config.to_dict(), "model_type": "dinov2"}
    ours = networks.HuggingFace({"config": config, "features": 16})
    ours.inner.load_state_dict(hf.AutoModel.from_pretrained(path).state_dict())
    image = torch.rand(2, 3, 32, 64)
    with torch.no_grad():
        expected = theirs.eval()(pixel_values=image).feature_maps[0]
        assert expected.shape == (2, 16, 4, 8)
        return float((ours.eval()(image) - expected).abs().max())


def main(folder: Path) -> None:
    digits(folder / "digits", 600)
    scenes(folder / "scenes", 120)
    first = folder / "first"
    found: dict[str, Any] = {}
    learn = {"images": folder / "digits", "epochs": 3, "filters": 8, "learning_rate": 0.01}
    found["code"] = trained("image_classification", first, **learn)
    found["classification"] = measured(first)
    held = load_digits().images[600:604]
    images = [png(numpy.kron(each * 255 / 16, numpy.ones((2, 2)))) for each in held]
    found["truth"] = load_digits().target[600:604].tolist()
    found["served"] = served(first, images)
    loaded = mlflow.pyfunc.load_model(str(first / "model"))
    found["frame"] = loaded.predict(pandas.DataFrame({"image": images})).to_dict("list")
    found["example_rows"] = len(loaded.input_example)
    second = folder / "second"
    segment = {"images": folder / "scenes", "classes": "background,digit", "epochs": 4, "filters": 8,
               "learning_rate": 0.01, "robustness_rows": 10}  # fmt: skip
    trained("semantic_segmentation", second, **segment)
    found["segmentation"] = measured(second)
    wide = png(numpy.kron(numpy.asarray(Image.open(folder / "scenes" / "images" / "0.png")), numpy.ones((2, 3))))
    found["masked"] = served(second, [wide])
    torch.jit.script(Backbone()).save(str(folder / "backbone.pt"))
    torch.save({"nothing.here": torch.zeros(3)}, folder / "other.pt")
    little = {**learn, "epochs": 1, "robustness_rows": 0}
    for name, path in (
        ("own", first / "model"), ("script", folder / "backbone.pt"), ("other", folder / "other.pt"),
        ("text", COMPONENTS / "train.py"),
    ):  # fmt: skip
        code, said = trained("image_classification", folder / name, backbone=path, freeze_backbone="true", **little)
        found[name] = {"code": code, "said": said}
        if not code:
            found[name] |= {"measured": measured(folder / name), "served": served(folder / name, images[:2])}
    (folder / "contract.yml").write_text("columns: {width: {max: 15}}")
    found["contract"] = trained("image_classification", folder / "x", contract=folder / "contract.yml", **little)
    (folder / "digits" / "0" / "bad.png").write_bytes(b"broken")
    found["broken"] = [*trained("image_classification", folder / "broken", **little), (folder / "broken").exists()]
    found["checkpoints"] = checkpoints(folder)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
