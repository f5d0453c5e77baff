"""A script with ``init()`` and ``run(mini_batch)``, under the contract of Azure ML's batch and parallel steps."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from typing import Any, List

from .spec import Refused

MODULE = "entry_module"


class Context:
    """What ``run`` gets as its second argument, if it takes one."""

    def __init__(self, number: int) -> None:
        self.mini_batch_id = str(number)
        self.partition_key_value = None  # type: Any


class Script:
    def __init__(self, folder: str, script: str, arguments: List[str]) -> None:
        folder = os.path.abspath(folder)
        path = os.path.join(folder, script)
        if not os.path.isfile(path):
            raise Refused("the code folder holds no %s" % script)
        os.chdir(folder)
        for entry in (folder, os.path.dirname(path)):
            if entry not in sys.path:
                sys.path.insert(0, entry)
        sys.argv = [path, *arguments]
        module = _module(path)
        if not callable(getattr(module, "run", None)):
            raise Refused("%s does not define a function run(mini_batch)" % script)
        self._run = module.run
        self._wants_context = _positional(self._run) > 1
        if callable(getattr(module, "init", None)):
            module.init()

    def run(self, given: Any, number: int) -> Any:
        """What ``run`` answers for a list of paths (or a table). Raises whatever it raises."""
        return self._run(given, Context(number)) if self._wants_context else self._run(given)


def _positional(function: Any) -> int:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(1 for each in inspect.signature(function).parameters.values() if each.kind in kinds)


def _module(path: str) -> Any:
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None:
        raise Refused("%s is not a Python file" % path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)
    return module
