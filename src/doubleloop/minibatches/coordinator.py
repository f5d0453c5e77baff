"""Hands mini-batches to workers, tries again what failed, stops when too much has, joins the rows at the end."""

from __future__ import annotations

import collections
import json
import os
import select
import subprocess
import sys
import threading
import time
from typing import Any, Dict, List, Optional

from . import cutting, ledger, rows, spec

# Each worker gets as many mini-batches as it can take; one that was just killed is started again at once.
RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")
FULL = "The disk is full: %s. What is finished is kept; make room, then `doubleloop job retry` goes on where it stopped"
SUMMARY = os.path.join("logs", "mini_batches.json")


def main(path: str) -> int:
    asked = spec.load(path)
    try:
        return Coordinator(asked, path).run()
    except spec.Refused as error:
        _say("%s" % error)
        ledger.Ledger(asked.kept).failed(str(error))
        return 1


class Broken(Exception):
    """A worker did not answer: it ended, or took too long."""


class Coordinator:
    def __init__(self, asked: spec.Spec, path: str) -> None:
        self._asked = asked
        self._path = path
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._ledger = ledger.Ledger(asked.kept)
        self._fatal = ""
        self._failed = {}  # type: Dict[int, str]
        self._failed_items = 0
        self._done = {}  # type: Dict[int, Dict[str, Any]]
        self._plan = None  # type: Optional[Dict[str, Any]]

    def run(self) -> int:
        """The exit code."""
        began = time.monotonic()
        items = cutting.items(self._asked)
        if not items:
            raise spec.Refused("there is nothing to score: the input holds no files")
        self._batches = cutting.batches(items, self._asked.size)
        self._ledger.open([self._batches, self._asked.entry["kind"], os.path.basename(self._asked.append_to)])
        self._native = self._ledger.native
        left = self._what_is_left()
        self._queue = collections.deque(left)
        workers = max(1, min(self._asked.workers, len(left)))
        _say("%d files in %d mini-batches, %d process%s" % (
            len(items), len(self._batches), workers, "es" if workers > 1 else ""))  # fmt: skip
        if self._done:
            _say("%d of them were finished before, and are not scored again" % len(self._done))
        if left:
            self._work(workers)
        self._check_thresholds(last=True)
        if not self._fatal:
            self._deliver()
        self._summarise(len(items), time.monotonic() - began)
        if self._fatal:
            _say(self._fatal)
            self._forget_failures()
            self._ledger.failed(self._fatal)
            return 1
        self._ledger.clear()
        return 0

    def _what_is_left(self) -> List[int]:
        for number in range(len(self._batches)):
            told = self._ledger.finished(number)
            if told is not None:
                self._done[number] = told
                self._failed_items += told["failed_items"]
        return [number for number in range(len(self._batches)) if number not in self._done]

    def _work(self, workers: int) -> None:
        threads = [threading.Thread(target=self._serve, name="worker %d" % number) for number in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _serve(self) -> None:
        """One worker process at a time, until nothing is left."""
        worker = None  # type: Optional[Worker]
        try:
            while not self._stop.is_set():
                with self._lock:
                    if not self._queue:
                        return
                    number = self._queue.popleft()
                worker = self._score(number, worker)
        except Exception as error:
            self._end("the coordinator failed: %s: %s" % (type(error).__name__, error))
        finally:
            if worker is not None:
                worker.kill()

    def _score(self, number: int, worker: Optional[Worker]) -> Optional[Worker]:
        """Try one mini-batch until it is done or has failed for good; the worker to go on with."""
        batch, error = self._batches[number], ""
        for attempt in range(self._asked.max_retries + 1):
            if worker is None:
                worker = self._start()
                if worker is None:
                    return None
            began = time.monotonic()
            try:
                planned = not self._native
                order = {"number": number, "items": batch, "planned": planned}
                answer = worker.ask(order, self._asked.timeout_s, self._stop)
                if "disagreed" in answer:
                    self._go_native(answer["disagreed"])
                    planned = False
                    answer = worker.ask(dict(order, planned=False), self._asked.timeout_s, self._stop)
            except Broken as broken:
                worker.kill()
                worker, answer = None, {"error": str(broken)}
                if self._stop.is_set():
                    return None
            error = answer.get("error", "")
            if not error:
                self._finish(number, answer, time.monotonic() - began, planned)
                return worker
            if answer.get("full"):
                self._end(FULL % error)
                return worker
            _say("mini-batch %d, try %d of %d: %s" % (number + 1, attempt + 1, self._asked.max_retries + 1, error))
        self._fail(number, error)
        return worker

    def _start(self) -> Optional[Worker]:
        worker = Worker(self._path, self._asked)
        try:
            first = worker.ask(None, 0, self._stop)
        except Broken as broken:
            first = {"error": str(broken)}
        if first.get("error"):
            worker.kill()
            self._end("It could not begin: %s" % first["error"])
            return None
        with self._lock:
            if self._plan is None:
                self._plan = first["plan"]
        return worker

    # -- what became of a mini-batch ---------------------------------------------------------------------------------

    def _go_native(self, why: str) -> None:
        """What the plan has scored so far may be wrong, too: the model does all of it again."""
        with self._lock:
            if self._native:
                return
            self._native = why
            self._ledger.go_native(why)
            again = [number for number, told in self._done.items() if told.get("planned")]
            for number in again:
                self._failed_items -= self._done.pop(number)["failed_items"]
                self._ledger.forget(number)
            self._queue.extend(again)
        _say("the plan did not agree with the model (%s): the model itself scores, %d mini-batches again" % (
            why, len(again)))  # fmt: skip

    def _finish(self, number: int, answer: Dict[str, Any], seconds: float, planned: bool) -> None:
        size = len(self._batches[number])
        failed = len(answer["failed"]) or max(0, size - int(answer["results"]))
        told = {
            "items": size, "results": answer["results"], "failed_items": failed, "failed": answer["failed"],
            "seconds": round(seconds, 3), "planned": planned,
        }  # fmt: skip
        with self._lock:
            if planned and self._native:  # the plan was given up meanwhile
                self._queue.append(number)
                return
            self._ledger.finish(number, told)
            self._done[number] = told
            self._failed_items += failed
            _say("mini-batch %d (%d of %d done): %d files, %d results, %.2f s" % (
                number + 1, len(self._done), len(self._batches), size, answer["results"], seconds))  # fmt: skip
            for each in answer["failed"]:
                _say("%s: %s" % (each["file"], each["error"]))
        self._check_thresholds()

    def _fail(self, number: int, error: str) -> None:
        with self._lock:
            self._failed[number] = error
            self._failed_items += len(self._batches[number])
            _say("mini-batch %d failed and is left out, %s" % (number + 1, self._named(number)))
        self._check_thresholds()

    def _check_thresholds(self, last: bool = False) -> None:
        asked = self._asked
        if 0 <= asked.error_threshold < self._failed_items:
            self._end("%d files failed, more than the error_threshold of %d" % (
                self._failed_items, asked.error_threshold) + self._first_error())  # fmt: skip
        if 0 <= asked.mini_batch_error_threshold < len(self._failed):
            self._end("%d mini-batches failed, more than the mini_batch_error_threshold of %d" % (
                len(self._failed), asked.mini_batch_error_threshold) + self._first_error())  # fmt: skip
        if last and not self._fatal and self._failed_items >= sum(map(len, self._batches)):
            self._end("Every file failed" + self._first_error())

    def _first_error(self) -> str:
        for number in sorted(self._failed):
            return ". First: mini-batch %d, %s" % (number + 1, self._named(number))
        for number in sorted(self._done):
            told = self._done[number]
            for each in told["failed"]:
                return ". First: %s: %s" % (each["file"], each["error"])
            if told["failed_items"]:
                return ". First: mini-batch %d gave %d results for %d files" % (
                    number + 1, told["results"], told["items"])  # fmt: skip
        return ""

    def _named(self, number: int) -> str:
        """A failed mini-batch's first file, and what happened."""
        files = [cutting.label(self._asked, item) for item in self._batches[number]]
        more = " and %d more" % (len(files) - 1) if len(files) > 1 else ""
        return "%s%s: %s" % (files[0], more, self._failed[number])

    def _end(self, why: str) -> None:
        with self._lock:
            self._fatal = self._fatal or why
        self._stop.set()

    # -- the end -----------------------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        asked = self._asked
        if asked.folder:
            os.makedirs(asked.folder, exist_ok=True)
            rows.move(asked.written, asked.folder)
        if asked.append_to:
            try:
                rows.join(self._ledger.parts(sorted(self._done)), asked.append_to, asked.is_parquet)
            except rows.NotRows as error:
                self._end(str(error))
            except OSError as error:
                if not ledger.is_full(error):
                    raise
                self._end(FULL % error)

    def _forget_failures(self) -> None:
        """Who runs it again after it failed wants those tried again that did not come out whole."""
        for number, told in self._done.items():
            if told["failed_items"]:
                self._ledger.forget(number)

    def _summarise(self, items: int, seconds: float) -> None:
        summary = {
            "files": items, "mini_batches": len(self._batches), "finished": len(self._done),
            "failed_mini_batches": {str(number + 1): error for number, error in sorted(self._failed.items())},
            "failed_files": self._failed_items, "seconds": round(seconds, 3),
            "results": sum(int(each["results"]) for each in self._done.values()),
            "failed": [each for number in range(len(self._batches)) for each in self._failures(number)],
            "plan": {"used": False, "why": self._native} if self._native else self._plan,
        }  # fmt: skip
        _say("%d of %d mini-batches finished, %d of %d files failed, %.1f s" % (
            len(self._done), len(self._batches), self._failed_items, items, seconds))  # fmt: skip
        os.makedirs(os.path.dirname(SUMMARY), exist_ok=True)
        ledger.write(SUMMARY, summary)

    def _failures(self, number: int) -> List[Dict[str, str]]:
        if number not in self._failed:
            return list(self._done.get(number, {}).get("failed", ()))
        error = self._failed[number]
        return [{"file": cutting.label(self._asked, item), "error": error} for item in self._batches[number]]


class Worker:
    """One process; lines of JSON to its standard input and from its standard output."""

    def __init__(self, path: str, asked: spec.Spec) -> None:
        environment = dict(os.environ, AZUREML_BI_OUTPUT_PATH=asked.written)
        if asked.model_dir:
            environment["AZUREML_MODEL_DIR"] = asked.model_dir
        self._process = subprocess.Popen(
            [sys.executable, RUN, "--worker", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self._buffer = b""

    def ask(self, order: Optional[Dict[str, Any]], timeout_s: float, stop: threading.Event) -> Dict[str, Any]:
        """Send ``order`` (None: wait for the first word) and wait for the answer. ``timeout_s`` 0 is no limit.

        Raises Broken.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        deadline = time.monotonic() + timeout_s if timeout_s else None
        try:
            if order is not None:
                self._process.stdin.write(json.dumps(order).encode("utf-8") + b"\n")
                self._process.stdin.flush()
        except OSError:
            raise Broken(self._ended()) from None
        while b"\n" not in self._buffer:
            if stop.is_set():
                raise Broken("stopped")
            if deadline is not None and time.monotonic() > deadline:
                raise Broken("it took longer than the timeout of %g s" % timeout_s)
            gone = self._process.poll() is not None  # asked before: what it said last is read
            if select.select([self._process.stdout], [], [], 0.1)[0]:
                data = os.read(self._process.stdout.fileno(), 1 << 16)
                if not data:
                    raise Broken(self._ended())
                self._buffer += data
            elif gone:  # what it has forked may still hold the pipe
                raise Broken(self._ended())
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer = json.loads(line.decode("utf-8"))  # type: Dict[str, Any]
        return answer

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            try:
                if stream is not None:
                    stream.close()
            except OSError:
                pass

    def _ended(self) -> str:
        code = self._process.wait()
        if code < 0:
            return "its process was killed by signal %d%s" % (-code, " (out of memory?)" if code == -9 else "")
        return "its process ended with exit code %d" % code


def _say(text: str) -> None:
    print(text, flush=True)
