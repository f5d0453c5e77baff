"""The serving kit: ONNX Runtime beside the environments, for those that have none of their own.

``environments.kits`` lays it in ``<kits>/cp311-<pins>``, one for each Python and each content of ``kit.txt``. It is
looked into only when ``import onnxruntime`` finds nothing, and stays the last entry of ``sys.path``: what the user has
wins.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from typing import Any, Optional, Sequence

PINS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kit.txt")
OLDEST = (3, 10)
FAILED = ".failed"

_kits = ""


def name(version: Sequence[int]) -> str:
    """Of the folder for a Python (major, minor)."""
    with open(PINS, "rb") as file:
        pins = hashlib.sha256(file.read()).hexdigest()
    return "cp%d%d-%s" % (version[0], version[1], pins[:12])


def offer(kits: Optional[str]) -> None:
    """Where kits are; None or empty for nowhere."""
    global _kits
    _kits = kits or ""


def onnxruntime() -> Any:
    """The module, the environment's own or the kit's. Raises ImportError, or whatever the library itself raises."""
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        folder = os.path.join(_kits, name(sys.version_info[:2])) if _kits else ""
        if not os.path.isdir(folder):
            raise ImportError(_why(folder)) from error
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module("onnxruntime")


def _why(folder: str) -> str:
    if not folder:
        return "it is not in the environment"
    try:
        with open(folder + FAILED, encoding="utf-8") as file:
            return "it is not in the environment, and the serving kit could not be installed: %s" % file.read()
    except OSError:
        return "it is not in the environment, and there is no serving kit for Python %d.%d" % sys.version_info[:2]
