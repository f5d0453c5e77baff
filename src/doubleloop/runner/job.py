"""What a run is asked to do: ``job.json``, read and checked."""

from __future__ import annotations

import json
import os
from typing import Any

DEFAULT_GRACE_S = 10.0
DEFAULT_LOG_CAP_BYTES = 64 * 1024 * 1024
FOLDER_TYPES = ("uri_folder", "mlflow_model", "custom_model", "triton_model", "mltable")
FILE_TYPES = ("uri_file",)
# Files beside this one that start the command in another way than as one process under bash.
PROGRAMS = ("distributed", "parallel")


class BadJob(Exception):
    """``job.json`` cannot be right."""


class Job:
    """One attempt of one step.

    ``code_dir`` is copied, ``env`` is the whole environment of the command, ``outputs`` maps a name to
    ``{"path": absolute path, "type": uri_file | uri_folder | ...}``, times are seconds, sizes bytes; 0 is no limit.
    ``launcher`` names one of PROGRAMS, with what it needs to know; it is given ``job.json``.
    ``secrets`` are further variables, of which ``job.json`` has the names and the caller hands in the values.
    """

    def __init__(self, body: Any) -> None:
        if not isinstance(body, dict):
            raise BadJob("job.json must be an object")
        self.id: str = _text(body, "id")
        self.command: str = _text(body, "command") if not body.get("launcher") else str(body.get("command") or "")
        self.code_dir: str = body.get("code_dir") or ""
        self.env: dict = body.get("env") or {}
        self.launcher: dict = body.get("launcher") or {}
        self.secret_names: list = body.get("secrets") or []
        self.secrets: dict = {}
        self.inputs: dict = body.get("inputs") or {}
        self.outputs: dict = body.get("outputs") or {}
        self.timeout_s = _number(body, "timeout_s", 0)
        self.quota_bytes = int(_number(body, "quota_bytes", 0))
        self.grace_s = _number(body, "grace_s", DEFAULT_GRACE_S)
        self.log_cap_bytes = int(_number(body, "log_cap_bytes", DEFAULT_LOG_CAP_BYTES))
        if self.launcher and self.launcher.get("program") not in PROGRAMS:
            raise BadJob("'launcher.program' must be one of %s" % ", ".join(PROGRAMS))
        _check_env(self.env)
        _check_names(self.secret_names)
        _check_outputs(self.outputs)


def load(path: str) -> Job:
    """Raises BadJob, naming the field."""
    try:
        with open(path, encoding="utf-8") as file:
            return Job(json.load(file))
    except (OSError, ValueError) as error:
        raise BadJob("%s: %s" % (path, error)) from error


def receive(job: Job, text: bytes) -> None:
    """Take the values of the job's secrets, an object of texts. Raises BadJob, which repeats none of them."""
    try:
        found = json.loads(text.decode("utf-8")) if text else {}
    except ValueError:
        raise BadJob("the values of secrets must come as JSON on standard input") from None
    if not isinstance(found, dict) or sorted(found) != sorted(job.secret_names):
        raise BadJob("standard input must hold the values of: %s" % (", ".join(sorted(job.secret_names)) or "nothing"))
    if not all(isinstance(value, str) and "\0" not in value for value in found.values()):
        raise BadJob("the values of secrets must be texts")
    job.secrets = found


def _text(body: dict, field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise BadJob("'%s' must be a text that is not empty" % field)
    return value


def _number(body: dict, field: str, default: float) -> float:
    value = body.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise BadJob("'%s' must be a number that is not negative" % field)
    return value


def _check_env(env: Any) -> None:
    if not isinstance(env, dict):
        raise BadJob("'env' must be an object")
    for name, value in env.items():
        if not isinstance(value, str) or "\0" in value or not name or "=" in name or "\0" in name:
            raise BadJob("'env': '%s' is not a variable with a text" % name)


def _check_names(names: Any) -> None:
    if not isinstance(names, list) or not all(isinstance(name, str) and name and "=" not in name for name in names):
        raise BadJob("'secrets' must be a list of names of variables")


def _check_outputs(outputs: Any) -> None:
    if not isinstance(outputs, dict):
        raise BadJob("'outputs' must be an object")
    for name, output in outputs.items():
        if not isinstance(output, dict) or not os.path.isabs(str(output.get("path", ""))):
            raise BadJob("'outputs.%s.path' must be an absolute path" % name)
        if output.get("type") not in FOLDER_TYPES + FILE_TYPES:
            raise BadJob("'outputs.%s.type' must be one of %s" % (name, ", ".join(FILE_TYPES + FOLDER_TYPES)))
