"""A process that scores one mini-batch after the other, as the coordinator hands them out on a pipe.

A line from it: ``{"number", "items", "planned"}``. Lines to it: ``{"ready": true, "plan"}`` once, then one answer each:
``{"results", "failed": [{"file", "error"}]}``, ``{"error"}``, or ``{"disagreed"}`` when a model's plan gave another
answer than the model. What the script prints goes to the step's log.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
import traceback
from typing import Any, Dict, List

from . import cutting, ledger, rows, scripts, spec, tables

PR_SET_PDEATHSIG = 1


def main(path: str) -> int:
    asked = spec.load(path)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    _die_with_parent()
    logging.basicConfig(level=asked.level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    orders = os.fdopen(os.dup(0), encoding="utf-8")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    try:
        scorer = Scorer(asked)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        _say(answers, {"error": _words(error)})
        return 1
    _say(answers, {"ready": True, "plan": scorer.plan})
    for line in orders:
        order = json.loads(line)
        try:
            answer = scorer.score(order["number"], order["items"], order["planned"])
        except tables.Disagreed as disagreement:
            answer = {"disagreed": str(disagreement)}
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            answer = {"error": _words(error)}
        _say(answers, answer)
    return 0


class Scorer:
    def __init__(self, asked: spec.Spec) -> None:
        self._asked = asked
        self._parts = ledger.Ledger(asked.kept).parts_folder
        entry = asked.entry
        if entry["kind"] == spec.MLFLOW:
            self._model = tables.Model(entry["model"], entry.get("scorer") or "", entry.get("kits") or "")
            self._script = None
            self.plan = self._model.plan
        else:
            self.plan = {"used": False, "why": "a script scores"}
            self._script = scripts.Script(entry["folder"], entry["script"], list(entry.get("arguments") or ()))

    def score(self, number: int, items: List[cutting.Item], planned: bool) -> Dict[str, Any]:
        if self._script is None:
            return self._score_tables(number, items, planned)
        result = self._script.run([cutting.place(self._asked, item) for item in items], number)
        if not self._asked.append_to:
            return {"results": rows.count(result), "failed": []}
        part = os.path.join(self._parts, ledger.part_name(number, 0))
        results = rows.write(result, part + ".new", self._asked.is_parquet)
        os.replace(part + ".new", part)
        return {"results": results, "failed": []}

    def _score_tables(self, number: int, items: List[cutting.Item], planned: bool) -> Dict[str, Any]:
        """File by file: one that cannot be read does not take its neighbours with it."""
        failed, results = [], 0
        self._model.begin()
        for index, item in enumerate(items):
            path = cutting.place(self._asked, item)
            part = os.path.join(self._parts, ledger.part_name(number, index))
            try:
                self._write(self._model.score(path, item, planned, self._asked.is_parquet), part + ".new")
                os.replace(part + ".new", part)
                results += 1
            except (MemoryError, tables.Disagreed):
                raise
            except Exception as error:
                if not isinstance(error, tables.Unreadable):
                    traceback.print_exc()
                failed.append({"file": item["path"] or os.path.basename(path), "error": _words(error)})
        return {"results": results, "failed": failed}

    def _write(self, frames: Any, path: str) -> None:
        if not self._asked.append_to:
            for _ in frames:
                pass
        elif self._asked.is_parquet:
            _write_parquet(frames, path)
            return
        with open(path, "w", encoding="utf-8", newline="") as file:
            for frame in frames:
                frame.to_csv(file, header=False, index=False)


def _write_parquet(frames: Any, path: str) -> None:
    import pyarrow

    writer, schema = None, None
    try:
        for frame in frames:
            if not isinstance(frame, pyarrow.Table):
                table = pyarrow.Table.from_pandas(frame, schema=schema, preserve_index=False)
            else:
                table = frame if schema is None else frame.cast(schema)
            if writer is None:
                schema = table.schema
                writer = rows.parquet_writer(path, schema, "none")
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        rows.parquet_writer(path, pyarrow.schema([]), "none").close()


def _words(error: BaseException) -> str:
    if isinstance(error, (spec.Refused, rows.NotRows, tables.Unreadable)):
        return str(error)
    return "%s: %s" % (type(error).__name__, str(error)[:2000])


def _say(answers: Any, answer: Dict[str, Any]) -> None:
    sys.stdout.flush()
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _die_with_parent() -> None:
    """Linux: end with the coordinator, so that a new attempt has the mini-batches for itself."""
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        return
    if os.getppid() == 1:
        os._exit(0)
