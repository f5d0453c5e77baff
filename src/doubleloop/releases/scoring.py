"""A model's own predictions for a table, made in the model's own environment, outside of this process."""

from __future__ import annotations

import base64
import json
import shlex
import shutil
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from doubleloop.base import canonical, errors
from doubleloop.compute import model as compute
from doubleloop.db.context import Contexts
from doubleloop.environments import commands as environments
from doubleloop.environments import queries as pins
from doubleloop.models import model as models
from doubleloop.releases import rules, running
from doubleloop.scorer import batch
from doubleloop.settings.model import Settings
from doubleloop.storage import ports as storage

TIMEOUT_S = 3600.0
_SCRIPT = Path(batch.__file__)


@dataclass(frozen=True)
class Predictions:
    """One value a row, in the order of the rows; None where the model gave no number. ``plan``: what a plan in the
    model's place would have said (``agrees``: None when there is none)."""

    values: list[Any]
    plan: dict[str, Any]
    environment_lock: str
    mlflow: str


def predict(
    contexts: Contexts,
    workspace: str,
    version: models.ModelVersion,
    rows: pl.DataFrame,
    signature: dict[str, Any] | None = None,
) -> Predictions:
    """``signature`` stands in for a model's own when it has none.

    The same model, rows and environment are scored once: the answer is kept by the hash of all of them. Raises
    NotSupported for a model that is not MLflow's, Failed when it does not answer, Unavailable, InvalidInput.
    """
    if version.flavor != "mlflow":
        raise errors.NotSupported(
            f"{version.name}:{version.version} is not an MLflow model, so it cannot be scored on a hold-out",
            cure="Log it with MLflow.",
        )
    home = contexts.port(Settings).home / "releases"
    model_dir = home / "models" / version.digest / "model"
    if not model_dir.exists():
        contexts.port(storage.Blobs).materialise(version.reference, model_dir)
    prepared = environments.prepare(contexts, workspace, environments.source_of_model(model_dir))
    table = wire(rows, None if version.signature else signature)
    key = canonical.sha256([version.digest, prepared.lock_digest, table, _SCRIPT.read_text()])
    kept = home / "scores" / f"{key}.json"
    if not kept.exists():
        _score(contexts, key, model_dir, prepared.python, table, kept)
    answer = json.loads(kept.read_text())
    return Predictions(answer["predictions"], answer["plan"], prepared.lock_digest, answer["mlflow"])


def wire(rows: pl.DataFrame, signature: dict[str, Any] | None) -> dict[str, Any]:
    """Rows as ``scorer.batch`` reads them."""
    kinds = [rules.MLFLOW_TYPES.get(str(kind.base_type()), "string") for kind in rows.dtypes]
    return {
        "columns": rows.columns,
        "dtypes": kinds,
        "data": [[_plain(value) for value in row] for row in rows.iter_rows()],
        "signature": signature,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, bytes):  # an image
        return base64.b64encode(value).decode()
    if isinstance(value, float) and value - value != 0:
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _score(contexts: Contexts, key: str, model_dir: Path, python: Path, table: dict[str, Any], kept: Path) -> None:
    id_ = f"score-{key[:32]}"

    def ask(attempt: int) -> compute.StepRun:
        place = running.folder(contexts, id_, attempt)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        (place / "rows.json").write_text(json.dumps(table))
        words = [python, _SCRIPT, "--model", model_dir, "--input", place / "rows.json", "--output", place / "out.json"]
        words += ["--kits", pins.kits_folder(contexts.port(Settings))]
        return compute.StepRun(
            id=id_, attempt=attempt, command=shlex.join(map(str, words)), python=python, env=running.QUIET,
            timeout_s=TIMEOUT_S, quota_bytes=contexts.port(Settings).step_quota,
        )  # fmt: skip

    status, attempt = running.finished(contexts, id_, ask)
    out = running.folder(contexts, id_, attempt) / "out.json"
    answer = json.loads(out.read_text()) if out.exists() else {}
    if status.state is not compute.State.SUCCEEDED or "predictions" not in answer:
        why = answer.get("error") or f"{status.message or status.reason}\n{running.tail(contexts, id_, attempt)}"
        raise errors.Failed(f"the model did not answer for every row: {why}")
    kept.parent.mkdir(parents=True, exist_ok=True)
    beside = kept.with_suffix(".part")
    shutil.copyfile(out, beside)
    beside.replace(kept)
    shutil.rmtree(out.parent.parent, ignore_errors=True)
