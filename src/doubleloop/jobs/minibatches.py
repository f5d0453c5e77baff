"""Steps whose command is ours: files cut into mini-batches, which a script or an MLflow model scores.

``Task.minibatches`` says how: ``entry`` (``{"kind": "script", "script", "arguments"}`` or ``{"kind": "mlflow",
"compile": whether a plan may score in the model's place}``), ``over`` (names of the inputs whose files are cut),
``model`` (name of the input that is the model, or None), ``size``, ``workers``, ``max_retries``, ``timeout_s``,
``error_threshold``, ``mini_batch_error_threshold``, ``level``, ``append_to`` (``{"output": name, "file": name in it or
empty when the output is the file}``, or None), ``folder`` (name of the output that the script's own files are laid in,
or None).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doubleloop import scorer
from doubleloop.compute import model as compute
from doubleloop.environments import queries as environments
from doubleloop.jobs import places
from doubleloop.jobs.model import Step
from doubleloop.minibatches import ledger, run
from doubleloop.settings.model import Settings

_RUN = Path(run.__file__)
_SCORER = Path(scorer.__file__).parent
_SAME = ("size", "workers", "max_retries", "timeout_s", "error_threshold", "mini_batch_error_threshold", "level")


def command(
    house: places.House, step: Step, inputs: Mapping[str, str | None], outputs: Mapping[str, compute.Output]
) -> str:
    """The command of this attempt; what it is to do is laid beside its files."""
    asked = dict(step.task.minibatches or {})
    model = inputs.get(str(asked["model"])) if asked.get("model") else None
    entry = dict(asked["entry"])
    if entry["kind"] == "mlflow":
        entry |= {"model": model, "scorer": str(_SCORER)}
        entry["kits"] = str(environments.kits_folder(house.port(Settings)))
    else:
        entry |= {"folder": "."}
    folder = outputs[asked["folder"]].path if asked.get("folder") else None
    spec = {
        "entry": entry,
        "inputs": [_input(step, name, inputs[name]) for name in asked["over"] if inputs.get(name) is not None],
        "model_dir": str(Path(model).parent) if model else "",
        "append_to": str(_appended(asked["append_to"], outputs)) if asked.get("append_to") else "",
        "folder": str(folder) if folder else "",
        "kept": str(places.kept(house, step)),
        **{name: asked[name] for name in _SAME if asked.get(name) is not None},
    }
    path = places.folder(house, step) / "minibatches.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(spec))
    return f"exec python {shlex.quote(str(_RUN))} {shlex.quote(str(path))}"


def why_failed(house: places.House, step: Step) -> str:
    """What the step's command gave as the reason; empty when it could not say any."""
    try:
        return str(json.loads((places.kept(house, step) / ledger.WHY).read_text())["why"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _input(step: Step, name: str, path: str | None) -> dict[str, Any]:
    return {"name": name, "path": path, "type": step.inputs[name].get("type") or "uri_folder"}


def _appended(asked: Mapping[str, str], outputs: Mapping[str, compute.Output]) -> Path:
    place = outputs[asked["output"]].path
    return place / asked["file"] if asked.get("file") else place
