"""How a saved model is loaded: ``kind.json`` beside its files says which class answers."""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

# Kind → the module beside this one whose ``load(folder)`` gives an object with ``predict(frame)``.
KINDS = {
    "classifier": "classifying",
    "tagger": "tagging",
    "phrases": "phrasing",
    "summariser": "summarising",
    "answerer": "answering",
    "preparation": "preparing",
    "translator": "translating",
    "generator": "generating",
    "checkpoint": "checkpoints",
}
_FILE = "kind.json"


def mark(folder: str, kind: str) -> None:
    with open(os.path.join(folder, _FILE), "w", encoding="utf-8") as file:
        json.dump({"kind": kind}, file)


def _load_pyfunc(path: str) -> Any:
    """What MLflow calls with the model's folder."""
    with open(os.path.join(path, _FILE), encoding="utf-8") as file:
        kind = json.load(file)["kind"]
    return importlib.import_module("." + KINDS[kind], __package__).load(path)
