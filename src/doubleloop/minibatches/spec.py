"""What a run over mini-batches is asked to do."""

from __future__ import annotations

import json
import os
from typing import Any, Dict

SCRIPT, MLFLOW = "script", "mlflow"
LEVELS = ("debug", "info", "warning", "error", "critical")


class Refused(Exception):
    """It cannot run as it is asked; the text says why."""


class Spec:
    """``SPEC.json`` as an object.

    ``entry``: ``{"kind": "script", "folder": its code, relative to the working directory, "script": file in it,
    "arguments": [...]}`` or ``{"kind": "mlflow", "model": folder, "scorer": folder of the code that makes plans of
    models, or empty for none, "kits": folder of what that code may lack, "compile": whether a
    plan may score}``. ``inputs``: list of ``{"name", "path",
    "type"}``, whose files are cut into mini-batches of ``size`` files. ``model_dir`` is the folder above the model
    (``AZUREML_MODEL_DIR``) or empty. ``workers``: processes. ``max_retries``: further tries of a mini-batch;
    ``timeout_s``: seconds for one try, 0 is no limit. ``error_threshold``: failed files,
    ``mini_batch_error_threshold``: failed mini-batches that are put up with; -1 is any number. ``append_to``: file
    that rows are joined in (``.parquet``: typed), empty when only a summary is wanted. ``folder``: where files that the
    script writes end up (``AZUREML_BI_OUTPUT_PATH``). ``kept``: folder that outlives this process; what it holds of an
    earlier run is not done again.
    """

    def __init__(self, body: Dict[str, Any]) -> None:
        self.entry: dict = body["entry"]
        self.inputs: list = body["inputs"]
        self.size = int(body.get("size") or 10)
        self.model_dir = body.get("model_dir") or ""
        self.workers = int(body.get("workers") or 1)
        self.max_retries = int(_or(body.get("max_retries"), 3))
        self.timeout_s = float(body.get("timeout_s") or 0)
        self.error_threshold = int(_or(body.get("error_threshold"), -1))
        self.mini_batch_error_threshold = int(_or(body.get("mini_batch_error_threshold"), -1))
        self.append_to = body.get("append_to") or ""
        self.folder = body.get("folder") or ""
        self.kept = body["kept"]
        self.level = body.get("level") or "info"

    @property
    def is_parquet(self) -> bool:
        return self.append_to.lower().endswith((".parquet", ".pqt", ".parq"))

    @property
    def written(self) -> str:
        """The folder that scripts write into: kept, so that the files of finished mini-batches are not lost."""
        return os.path.join(self.kept, "written")


def load(path: str) -> Spec:
    with open(path, encoding="utf-8") as file:
        return Spec(json.load(file))


def _or(value: Any, default: int) -> Any:
    return default if value is None else value
