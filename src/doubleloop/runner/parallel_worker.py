"""One process of a parallel step: imports the script, calls ``init()`` once and ``run()`` for each mini-batch.

Started by ``parallel.py`` with the pipes that orders come in by and answers go out by. What the script prints goes to
the log like any other output.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import json
import logging
import os
import shlex
import sys
import traceback
import types

_HERE = os.path.dirname(os.path.abspath(__file__))


class MiniBatchContext:
    """The second argument of ``run``, where it takes one."""

    def __init__(self, batch: dict) -> None:
        self.minibatch_index = batch["index"]
        self.mini_batch_id = str(batch["index"])
        self.dataset_name = batch.get("input", "")
        self.partition_key_value = batch.get("key")


class EntryScript:
    """What scripts import as ``azureml_user.parallel_run.EntryScript``: a logger and the folders."""

    def __init__(self) -> None:
        self.logger = logging.getLogger("entry_script")
        self.working_dir = os.getcwd()
        self.logs_dir = os.path.join(os.getcwd(), "logs")
        self.temp_dir = os.environ.get("TMPDIR", "/tmp")


def main(argv: list) -> int:
    with open(argv[1], encoding="utf-8") as file:
        launcher = json.load(file)
    orders = os.fdopen(int(argv[2]), encoding="utf-8")
    answers = os.fdopen(int(argv[3]), "w", encoding="utf-8", buffering=1)
    # No process of the script's own may hold the pipe of answers open.
    os.set_inheritable(answers.fileno(), False)
    os.set_inheritable(orders.fileno(), False)
    try:
        script = load(launcher)
        if hasattr(script, "init"):
            script.init()
        if not callable(getattr(script, "run", None)):
            raise AttributeError("the script %s has no function run(mini_batch)" % launcher["script"])
    except BaseException as error:
        traceback.print_exc()
        _answer(answers, {"init_error": _told(error)})
        return 1
    _answer(answers, {"ready": True})
    for line in orders:
        _answer(answers, work(script, launcher, json.loads(line)))
    with contextlib.suppress(Exception):
        getattr(script, "shutdown", lambda: None)()
    return 0


def load(launcher: dict) -> types.ModuleType:
    """The script as a module, with its arguments in ``sys.argv`` and its folder on the path, as when it is run."""
    path = os.path.abspath(launcher["script"])
    if not os.path.isfile(path):
        raise FileNotFoundError("the script %s is not in the code folder" % launcher["script"])
    _provide_azure()
    logging.basicConfig(level=getattr(logging, launcher["logging_level"], logging.INFO), stream=sys.stdout)
    sys.path[:] = [place for place in sys.path if os.path.abspath(place or ".") != _HERE]
    sys.path.insert(0, os.path.dirname(path))
    sys.argv = [path, *shlex.split(launcher["arguments"])]
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _provide_azure() -> None:
    """``azureml_user`` exists on Azure's machines alone; some scripts take their logger from it."""
    if importlib.util.find_spec("azureml_user") is None:
        package, inner = types.ModuleType("azureml_user"), types.ModuleType("azureml_user.parallel_run")
        inner.EntryScript = EntryScript  # type: ignore[attr-defined]
        package.parallel_run = inner  # type: ignore[attr-defined]
        package.__path__ = []
        sys.modules["azureml_user"], sys.modules["azureml_user.parallel_run"] = package, inner


def work(script: types.ModuleType, launcher: dict, batch: dict) -> dict:
    """``{"returned": rows, "rows": file that holds them}``, or ``{"error"}``."""
    try:
        data = _data(batch)
        arguments = [data, MiniBatchContext(batch)] if _takes_context(script.run) else [data]
        rows, text = as_rows(script.run(*arguments))
        answer = {"returned": rows}
        if launcher.get("rows_path") and text:
            place = os.path.join(launcher["scratch"], "rows-%06d.txt" % batch["index"])
            with open(place, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            answer["rows"] = place
        return answer
    except BaseException as error:
        traceback.print_exc()
        return {"error": _told(error)}


def _data(batch: dict) -> object:
    if "table" not in batch:
        return batch["files"]
    import pandas  # in the user's environment, and for tables alone

    return pandas.read_pickle(batch["table"])  # noqa: S301 - written by parallel.py for this run alone


def _takes_context(run: object) -> bool:
    try:
        parameters = list(inspect.signature(run).parameters.values())  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 1 and (
        positional[1].name == "mini_batch_context" or positional[1].default is inspect._empty
    )


def as_rows(result: object) -> tuple:
    """How many rows ``run`` returned, and their text: a line each, the columns of a frame separated by spaces."""
    if hasattr(result, "to_csv") and hasattr(result, "columns"):
        return len(result), result.to_csv(sep=" ", header=False, index=False)  # type: ignore[arg-type]
    if isinstance(result, (str, bytes, dict)) or not hasattr(result, "__iter__"):
        raise TypeError("run() returned %s: it must return a list or a data frame" % type(result).__name__)
    rows = list(result)
    return len(rows), "".join("%s\n" % (row,) for row in rows)


def _answer(answers: object, body: dict) -> None:
    sys.stdout.flush()
    answers.write(json.dumps(body) + "\n")  # type: ignore[attr-defined]
    answers.flush()  # type: ignore[attr-defined]


def _told(error: BaseException) -> str:
    return "%s: %s" % (type(error).__name__, error)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
