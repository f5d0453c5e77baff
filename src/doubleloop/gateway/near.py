"""A deployment's plan, run in the process that reads the request.

A plan is numbers and comparisons that a scorer has proved against its model and written down
(``scorer.plans.portable``); for a few rows it takes less time than handing them to the scorer would. What it does not
cover, and whatever is larger, goes to a scorer, which holds the model itself and is asked now and then whether it would
have answered the same.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.gateway import paths
from doubleloop.scorer import answers, joining, kit
from doubleloop.scorer.plans import comparing, portable, rows, steps, ways

# Nothing else is answered while a plan runs: rows that take longer (seconds) are a scorer's.
LONGEST = 0.0003
SIZES = (1, 4, 16, 64)
# Seconds between two answers that a scorer is asked about. It asks its model only when that is due.
REVIEW_EVERY = 1.0


class Near:
    """``rows``: how many it takes at most. Requests of one turn of the loop are answered together, as a scorer does
    with those that wait: ``batched`` is told how many."""

    def __init__(self, run: Callable[[list[Any]], Any], most_rows: int) -> None:
        self.rows = most_rows
        self.batched: Callable[[int], None] = lambda requests: None
        self._run = run
        self._next_review = 0.0
        self._waiting: list[_Waiting] = []

    async def answer(self, columns: list[Any], rows: int, missing: bool) -> bytes | None:
        """The predictions as JSON; None for rows that the plan leaves to the model.

        ``missing``: a value is not there. What such a row is taken for can depend on the rows beside it, so it is
        answered alone.
        """
        if missing:
            self.batched(1)
            return self._alone(columns)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes | None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._answer_waiting)
        self._waiting.append((columns, rows, future))
        return await future

    def _alone(self, columns: list[Any]) -> bytes | None:
        try:
            return answers.encode(self._run(columns))
        except Exception:  # out of the plan, or wrong: a scorer says so, if anything is wrong
            return None

    def _answer_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        first = 0
        while first < len(waiting):
            end, rows = first + 1, waiting[first][1]
            while end < len(waiting) and rows + waiting[end][1] <= self.rows:
                rows += waiting[end][1]
                end += 1
            self._answer(waiting[first:end])
            first = end

    def _answer(self, waiting: list[_Waiting]) -> None:
        self.batched(len(waiting))
        found = self._together(waiting) if len(waiting) > 1 else None
        if found is None:
            found = [self._alone(columns) for columns, _, _ in waiting]
        for (_, _, future), answer in zip(waiting, found, strict=True):
            if not future.done():
                future.set_result(answer)

    def _together(self, waiting: list[_Waiting]) -> list[bytes | None] | None:
        """None where they must be answered one by one."""
        try:
            table = joining.columns([columns for columns, _, _ in waiting])
            parts = joining.parted(self._run(table), [rows for _, rows, _ in waiting])
            return None if parts is None else [answers.encode(part) for part in parts]
        except Exception:
            return None

    def review_due(self) -> bool:
        """At most once in a while."""
        now = time.monotonic()
        if now < self._next_review:
            return False
        self._next_review = now + REVIEW_EVERY
        return True


_Waiting = tuple[list[Any], int, "asyncio.Future[bytes | None]"]


def load(home: Path, file: str) -> Near:
    """Blocks while it reads and tries the plan. Raises errors.InvalidInput for one that does not do here what the
    scorer says of it, and errors.Conflict for one that takes too long."""
    kit.offer(str(paths.kits(home)))
    # What comes with it stays, so it is not walked over: requests to other deployments would wait for that, too.
    gc.disable()
    try:
        return _tried(file)
    finally:
        gc.freeze()
        gc.enable()


def _tried(file: str) -> Near:
    try:
        plan = portable.read(file)
        run = rows.Rows(plan.chain).run
        for columns, expected in plan.examples:
            comparing.difference(run(columns), expected)
    except steps.NotPlanned as error:
        raise errors.InvalidInput(f"{file}: {error}") from None
    except Exception as error:
        raise errors.InvalidInput(f"{file}: it answers otherwise here: {type(error).__name__}: {error}") from None
    most = _most_rows(run, plan.examples[0][0])
    if not most:
        raise errors.Conflict(f"{file}: one row takes more than {LONGEST * 1000:.1f} ms")
    return Near(run, most)


def _most_rows(run: Callable[[list[Any]], Any], columns: list[Any]) -> int:
    most = 0
    for size in SIZES:
        if ways.seconds(lambda rows: answers.encode(run(rows)), [column[:size] for column in columns]) > LONGEST:
            break
        most = size
    return most
