"""Code of ours that lies in another folder, loaded under a private name: none of it is importable by the user's."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Any

PACKAGE = "_doubleloop_scorer"


def module(folder: str, name: str) -> Any:
    """The module ``name`` of the package in ``folder``."""
    if PACKAGE not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            PACKAGE, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
        )
        assert spec is not None and spec.loader is not None
        package = importlib.util.module_from_spec(spec)
        sys.modules[PACKAGE] = package
        spec.loader.exec_module(package)
    return importlib.import_module("%s.%s" % (PACKAGE, name))
