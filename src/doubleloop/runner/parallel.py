"""A script's ``run`` over the mini-batches of its data, in several processes.

Started by the supervisor in place of the command: ``python parallel.py <run dir>/job.json``. This process divides the
data, hands the mini-batches to workers (``parallel_worker.py``), tries failed ones again, counts failures against the
thresholds, and puts what ``run`` returned into one file, in the order of the mini-batches.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shlex
import signal
import subprocess
import sys
import time

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [place for place in sys.path if os.path.abspath(place or ".") != _HERE]
FILES_PER_BATCH = 10
BYTES_PER_BATCH = 1024 * 1024
_UNITS = {"": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
_TICK_S = 0.2


def main(argv: list) -> int:
    with open(argv[1], encoding="utf-8") as file:
        launcher = json.load(file)["launcher"]
    scratch = os.path.join(os.environ.get("TMPDIR") or "/tmp", "mini-batches")
    os.makedirs(scratch, exist_ok=True)
    try:
        batches = divide(launcher, scratch)
    except (OSError, ValueError, ImportError, KeyError) as error:
        _say("the data cannot be divided into mini-batches: %s" % error)
        return 65
    if not batches:
        _say("the data holds nothing to divide into mini-batches")
        return 65
    return Master(launcher, batches, scratch).run()


# -- dividing ----------------------------------------------------------------------------------------------------------


def divide(launcher: dict, scratch: str) -> list:
    """The mini-batches: ``{"index", "items": how many, "files" or "table": a pickled frame, "key"}``."""
    batches: list = []
    for each in launcher["inputs"]:
        if each.get("table") is not None:
            batches += _of_table(launcher, each, scratch, len(batches))
        else:
            batches += _of_files(launcher, each, len(batches))
    return batches


def _of_files(launcher: dict, each: dict, begin: int) -> list:
    path = each["path"]
    files = [path] if os.path.isfile(path) else sorted(
        os.path.join(root, name) for root, _, names in os.walk(path) for name in names
    )  # fmt: skip
    count = _size(launcher["size"], FILES_PER_BATCH)
    parts = [files[start : start + count] for start in range(0, len(files), count)]
    return [
        {"index": begin + number, "items": len(part), "files": part, "input": each["name"]}
        for number, part in enumerate(parts)
    ]


def _of_table(launcher: dict, each: dict, scratch: str, begin: int) -> list:
    from parallel_tables import by_keys, by_size, load  # pandas: in the user's environment, and for tables alone

    frame = load(each["path"], each["table"])
    if launcher["keys"]:
        parts = by_keys(frame, launcher["keys"])
    else:
        parts = [(None, part) for part in by_size(frame, _size(launcher["size"], BYTES_PER_BATCH))]
    found = []
    for number, (key, part) in enumerate(parts, begin):
        place = os.path.join(scratch, "table-%06d.pkl" % number)
        part.to_pickle(place)
        found.append({"index": number, "items": len(part), "table": place, "key": key, "input": each["name"]})
    return found


def _size(text: str, default: int) -> int:
    """``10``, ``10kb``, ``1 MB`` as a number."""
    written = text.strip().lower()
    if not written:
        return default
    digits = written.rstrip("kmgb ").strip()
    return max(int(digits) * _UNITS[written[len(digits) :].strip()], 1)


# -- handing out -------------------------------------------------------------------------------------------------------


class Worker:
    """One process that answers one mini-batch at a time; ``batch`` is what it works on, until ``deadline``."""

    def __init__(self, number: int, launcher_file: str) -> None:
        self.number = number
        self.ready = False
        self.batch: dict = {}
        self.deadline = 0.0
        self._rest = b""
        orders, self._orders = os.pipe()
        self.answers, answers = os.pipe()
        argv = [
            sys.executable,
            "-u",
            os.path.join(_HERE, "parallel_worker.py"),
            launcher_file,
            str(orders),
            str(answers),
        ]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, pass_fds=(orders, answers), start_new_session=True,
            env={**os.environ, "DOUBLELOOP_PARALLEL_WORKER": str(number)},
        )  # fmt: skip
        os.close(orders)
        os.close(answers)

    def give(self, batch: dict, timeout: float) -> None:
        self.batch = batch
        self.deadline = time.monotonic() + timeout
        with contextlib.suppress(BrokenPipeError):  # it has died: its end is seen by the closed pipe of answers
            os.write(self._orders, json.dumps(batch).encode() + b"\n")

    def read(self) -> tuple:
        """Whole answers so far, and whether more may come."""
        data = os.read(self.answers, 1 << 20)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines], bool(data)

    def end(self) -> None:
        for end in (self._orders, self.answers):
            with contextlib.suppress(OSError):
                os.close(end)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Master:
    def __init__(self, launcher: dict, batches: list, scratch: str) -> None:
        self._launcher = {**launcher, "scratch": scratch}
        self._waiting = list(batches)
        self._total = len(batches)
        self._items = sum(batch["items"] for batch in batches)
        self._file = os.path.join(scratch, "launcher.json")
        with open(self._file, "w", encoding="utf-8") as file:
            json.dump(self._launcher, file)
        self._workers: dict = {}
        self._selector = selectors.DefaultSelector()
        self._tries: dict = {}
        self._done: dict = {}
        self._failures: list = []
        self._failed_items = 0
        self._retried = 0
        self._why = ""

    def run(self) -> int:
        count = min(int(self._launcher["workers"]), self._total)
        _say("%d mini-batches of %d items, %d processes" % (self._total, self._items, count))
        for number in range(count):
            self._start(number)
        try:
            while not self._why and len(self._done) + len(self._failures) < self._total:
                for key, _ in self._selector.select(_TICK_S):
                    self._hear(key.data)
                self._look_at_clocks()
        finally:
            for worker in list(self._workers.values()):
                self._drop(worker)
        if not self._why:
            self._why = self._judge_share()
        self._collect()
        self._summarise()
        if self._why:
            _say(self._why)
        return 1 if self._why else 0

    def _start(self, number: int) -> None:
        worker = Worker(number, self._file)
        self._workers[number] = worker
        self._selector.register(worker.answers, selectors.EVENT_READ, worker)

    def _drop(self, worker: Worker) -> None:
        self._selector.unregister(worker.answers)
        worker.end()
        del self._workers[worker.number]

    def _hear(self, worker: Worker) -> None:
        answers, alive = worker.read()
        for answer in answers:
            if answer.get("init_error"):
                self._why = "init() failed: %s" % answer["init_error"]
                return
            if answer.get("ready"):
                worker.ready = True
            else:
                self._settle(worker.batch, answer)
                worker.batch = {}
        if not alive:
            self._replace(worker, "its process ended with code %s" % worker.process.wait())
        elif worker.ready and not worker.batch:
            self._give(worker)

    def _give(self, worker: Worker) -> None:
        if self._waiting:
            worker.give(self._waiting.pop(0), float(self._launcher["timeout_s"]))

    def _replace(self, worker: Worker, why: str) -> None:
        batch, was_ready = worker.batch, worker.ready
        self._drop(worker)
        if batch:
            self._settle(batch, {"error": why})
        elif not was_ready:
            self._why = "the script ended before init() had: %s" % why
        if not self._why and self._waiting:
            self._start(worker.number)

    def _look_at_clocks(self) -> None:
        for worker in list(self._workers.values()):
            if worker.batch and time.monotonic() > worker.deadline:
                self._replace(worker, "it took longer than %g s" % self._launcher["timeout_s"])

    def _settle(self, batch: dict, answer: dict) -> None:
        index = batch["index"]
        if "error" not in answer:
            self._done[index] = answer
            self._count_items(max(batch["items"] - answer["returned"], 0))
            return
        self._tries[index] = self._tries.get(index, 0) + 1
        if self._tries[index] <= int(self._launcher["retries"]):
            self._retried += 1
            _say("mini-batch %d failed and is tried again: %s" % (index, answer["error"]))
            self._waiting.append(batch)
            self._wake()
            return
        _say("mini-batch %d failed: %s" % (index, answer["error"]))
        self._failures.append({"mini_batch": index, "error": answer["error"], "files": batch.get("files", [])[:20]})
        self._count_items(batch["items"])
        limit = int(self._launcher["batch_error_threshold"])
        if 0 <= limit < len(self._failures):
            self._why = "%d mini-batches failed, more than mini_batch_error_threshold: %d" % (
                len(self._failures),
                limit,
            )

    def _wake(self) -> None:
        """A mini-batch came back: somebody who has nothing to do takes it."""
        for worker in self._workers.values():
            if worker.ready and not worker.batch and self._waiting:
                self._give(worker)

    def _count_items(self, failed: int) -> None:
        self._failed_items += failed
        limit = int(self._launcher["error_threshold"])
        if 0 <= limit < self._failed_items:
            self._why = "%d items failed, more than error_threshold: %d" % (self._failed_items, limit)

    def _judge_share(self) -> str:
        """``--allowed_failed_percent`` among the script's arguments, as Azure ML reads it."""
        words = shlex.split(self._launcher["arguments"])
        if "--allowed_failed_percent" not in words[:-1]:
            return ""
        allowed = float(words[words.index("--allowed_failed_percent") + 1])
        share = 100.0 * len(self._failures) / self._total
        return "%.1f %% of the mini-batches failed, more than %g %%" % (share, allowed) if share > allowed else ""

    # -- what is left behind -----------------------------------------------------------------------------------------

    def _collect(self) -> None:
        place = self._launcher.get("rows_path")
        if not place:
            return
        if os.path.isdir(place):
            place = os.path.join(place, "parallel_run_step.txt")
        with open(place, "ab") as output:
            for index in sorted(self._done):
                part = self._done[index].get("rows")
                if part:
                    with open(part, "rb") as file:
                        output.write(file.read())

    def _summarise(self) -> None:
        summary = {
            "mini_batches": self._total, "succeeded": len(self._done), "failed": len(self._failures),
            "retried": self._retried, "items": self._items, "failed_items": self._failed_items,
            "rows": sum(answer["returned"] for answer in self._done.values()), "failures": self._failures,
        }  # fmt: skip
        _say("mini-batches: %(succeeded)d succeeded, %(failed)d failed, %(retried)d tried again" % summary)
        with contextlib.suppress(OSError), open(os.path.join("logs", "parallel_summary.json"), "w") as file:
            json.dump(summary, file, indent=1)


def _say(text: str) -> None:
    os.write(1, ("[doubleloop] %s\n" % text).encode())


if __name__ == "__main__":
    sys.path.append(_HERE)
    sys.exit(main(sys.argv))
