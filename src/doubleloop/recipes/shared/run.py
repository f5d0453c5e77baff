"""Entry of every component: ``python shared/run.py FAMILY.MODULE --option value ...``.

The module has ``options(parser)``, which declares what it is given, and ``run(given)``, which does it. Bad data ends
with 65 and one sentence.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import types

if not __package__:  # started by file path: the folder above is the package that models name
    _root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    _package = types.ModuleType("doubleloop_recipes")
    _package.__path__ = [_root]
    sys.modules[_package.__name__] = _package
    __package__ = "doubleloop_recipes.shared"

from .problems import BadData

BAD_DATA = 65  # EX_DATAERR of sysexits.h


def main(argv: list[str]) -> int:
    name, *words = argv
    module = importlib.import_module(f"..{name}", __package__)
    parser = argparse.ArgumentParser(prog=name, allow_abbrev=False)
    module.options(parser)
    given = parser.parse_args(words)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        module.run(given)
    except BadData as error:
        print(f"[doubleloop] {error}", file=sys.stderr)
        return BAD_DATA
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
