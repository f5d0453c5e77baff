"""A process that scores one mini-batch after the other, as the coordinator hands them out on a pipe.

A line from it: ``{"number", "items", "planned"}``. Lines to it: ``{"ready": true, "plan"}`` once, then one answer each:
``{"results", "failed": [{"file", "error"}]}``, ``{"error", "full": whether the disk is}``, or ``{"disagreed"}`` when a
model's plan gave another answer than the model. What the script prints goes to the step's log.
"""

from __future__ import annotations

import ctypes
import functools
import json
import logging
import os
import signal
import sys
import traceback
from typing import Any, Callable, Dict, List

from . import cutting, ledger, reading, rows, scripts, spec, tables

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
            answer = {"error": _words(error), "full": ledger.is_full(error)}
        _say(answers, answer)
    return 0


class Scorer:
    def __init__(self, asked: spec.Spec) -> None:
        self._asked = asked
        self._ledger = ledger.Ledger(asked.kept)
        entry = asked.entry
        if entry["kind"] == spec.MLFLOW:
            self._model = tables.Model(
                entry["model"], entry.get("scorer") or "", entry.get("kits") or "", entry.get("compile", True)
            )
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
        part = self._part(number, 0)
        results = rows.write(result, part + ".new", self._asked.is_parquet)
        os.replace(part + ".new", part)
        return {"results": results, "failed": []}

    def _part(self, number: int, index: int, piece: int = 0) -> str:
        return os.path.join(self._ledger.parts_folder, ledger.part_name(number, index, piece))

    def _score_tables(self, number: int, items: List[cutting.Item], planned: bool) -> Dict[str, Any]:
        """File by file: one that cannot be read does not take its neighbours with it."""
        failed, results = [], 0
        self._model.begin()
        self._ledger.drop_parts(number)
        for index, item in enumerate(items):
            label = cutting.label(self._asked, item)
            try:
                self._write(item, planned, label, functools.partial(self._part, number, index))
                results += 1
            except (MemoryError, tables.Disagreed):
                raise
            except Exception as error:
                if ledger.is_full(error):
                    raise
                if not isinstance(error, reading.Unreadable):
                    traceback.print_exc()
                failed.append({"file": label, "error": _words(error)})
        return {"results": results, "failed": failed}

    def _write(self, item: cutting.Item, planned: bool, label: str, part: Callable[[int], str]) -> None:
        """The rows of one file, all of them or none."""
        path = cutting.place(self._asked, item)
        frames = self._model.score(path, item, planned, self._asked.is_parquet, label)
        if not self._asked.append_to:
            for _ in frames:
                pass
        elif self._asked.is_parquet:
            for piece in range(_write_parquet(frames, part)):
                os.replace(part(piece) + ".new", part(piece))
        else:
            with open(part(0) + ".new", "w", encoding="utf-8", newline="") as file:
                for frame in frames:
                    frame.to_csv(file, header=False, index=False)
            os.replace(part(0) + ".new", part(0))


def _write_parquet(frames: Any, part: Callable[[int], str]) -> int:
    """The number of files: another one begins where the columns' types change."""
    import pyarrow

    writer, count = None, 0
    try:
        for frame in frames:
            is_table = isinstance(frame, pyarrow.Table)
            table = frame if is_table else pyarrow.Table.from_pandas(frame, preserve_index=False)
            if writer is None or not table.schema.equals(writer.schema):
                if writer is not None:
                    writer.close()
                writer = rows.parquet_writer(part(count) + ".new", table.schema, "none")
                count += 1
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        rows.parquet_writer(part(0) + ".new", pyarrow.schema([]), "none").close()
    return count or 1


def _words(error: BaseException) -> str:
    if isinstance(error, (spec.Refused, rows.NotRows, reading.Unreadable)):
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
