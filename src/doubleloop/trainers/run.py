"""Entry of the trainer: ``python run.py trial|vote|stack|report --training PATH ... --model PATH --state PATH``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import types

if not __package__:  # started by file path: the files beside this one are the package that models name
    _here = types.ModuleType("doubleloop_automl")
    _here.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules[_here.__name__] = _here
    __package__ = _here.__name__

from . import ensembles, forecasts, orders, reports, tabular


def main(argv: list) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["trial", "vote", "stack", "report"])
    for name in ("training", "validation", "test", "model", "state"):
        parser.add_argument("--%s" % name)
    parser.add_argument("--member", nargs=2, action="append", default=[], metavar=("MODEL", "STATE"))
    given = parser.parse_args(argv)
    asked = orders.read(os.environ["DOUBLELOOP_AUTOML"])
    logging.basicConfig(level=asked.level, format="%(message)s", stream=sys.stdout)
    for name in ("urllib3", "mlflow", "matplotlib"):
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        _ROLES[given.role](asked, given)
    except orders.BadData as error:
        print("[doubleloop] %s" % error, file=sys.stderr)
        return 65
    return 0


def _trial(asked: orders.Orders, given: argparse.Namespace) -> None:
    (forecasts if asked.task == "forecasting" else tabular).trial(asked, given)


_ROLES = {"trial": _trial, "vote": ensembles.vote, "stack": ensembles.stack, "report": reports.report}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
