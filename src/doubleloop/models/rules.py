"""Reading what an MLflow model folder says of itself."""

from __future__ import annotations

import json
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from doubleloop.base import errors


def read_mlmodel(text: str, file: str) -> dict[str, Any]:
    """The content of an ``MLmodel`` file. Raises InvalidInput when it is not YAML."""
    try:
        loaded = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise errors.InvalidInput(f"The file is not YAML: {error}", where=errors.Where(file)) from error
    if not isinstance(loaded, dict):
        raise errors.InvalidInput("The file is not a mapping", where=errors.Where(file))
    return loaded


def signature(mlmodel: dict[str, Any]) -> dict[str, Any] | None:
    """``{"inputs": [...], "outputs": [...]}`` as MLflow writes them, with ``params`` where the model has some, or None
    for a model without a signature.

    Raises InvalidInput for one that is not of MLflow's form.
    """
    written = mlmodel.get("signature")
    if not written:
        return None
    if not isinstance(written, dict):
        raise _senseless("signature", written)
    if not written.get("inputs"):
        return None
    found = {key: _columns(f"signature.{key}", written.get(key)) for key in ("inputs", "outputs")}
    params = _columns("signature.params", written.get("params"))
    return {**found, "params": params} if params else found


def _columns(path: str, text: Any) -> list[Any] | None:
    if not text:
        return None
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        raise _senseless(path, text) from None
    if not isinstance(found, list):
        raise _senseless(path, text)
    return found


def _senseless(path: str, written: Any) -> errors.InvalidInput:
    return errors.InvalidInput(
        f"'{str(written)[:80]}' is not a signature that MLflow writes", where=errors.Where("MLmodel", path=path)
    )


CHAMPION = "champion."


def champion_label(workspace: str) -> str:
    return f"{CHAMPION}{workspace}"


def is_free(alias: str) -> bool:
    """Whether an alias of MLflow may be a label of ours: champions are named by releases, and `latest` is computed."""
    return alias != "latest" and not alias.startswith(CHAMPION)
