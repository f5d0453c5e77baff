"""Code of ours that lies in another folder, loaded under a private name: none of it is importable by the user's."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from . import run

PACKAGE = "_doubleloop_scorer"


def module(folder: str, name: str) -> Any:
    """The module ``name`` of the package in ``folder``."""
    if PACKAGE not in sys.modules:
        run.load(PACKAGE, folder)
    return importlib.import_module("%s.%s" % (PACKAGE, name))
