"""The queue of one deployment and the scorers that work it off.

Scoring is a pure function, so what a dying scorer had not answered goes to another: requests that were only
waiting in it count for nothing, the one it worked on gets a second try and no third.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from doubleloop.gateway import failures, flow
from doubleloop.gateway.links import Link

TRIES = 2
Answer = flow.Answer
_DIED = "see the scorer's log; the model may need more memory, or crash on these values"


class _Job:
    __slots__ = (
        "alone", "body", "flow", "future", "header", "number", "queue_timer", "scorer", "since", "timeout", "tries",
    )  # fmt: skip

    def __init__(
        self, number: int, header: dict[str, Any], body: bytes, future: asyncio.Future[Answer], timeout: float
    ) -> None:
        self.number, self.header, self.body, self.future, self.timeout = number, header, body, future, timeout
        self.tries = 0
        self.alone = False  # not to be scored together with others
        self.since = time.monotonic()
        self.scorer: Link | None = None
        self.queue_timer: asyncio.TimerHandle | None = None
        self.flow: flow.Flow | None = None

    @property
    def begun(self) -> bool:
        """Whether a part of its answer has come: what follows cannot come from another scorer."""
        return self.flow is not None and self.flow.begun


class Pool:
    """``depth``: requests in flight per scorer (it works on one, the others wait in it). Times in seconds.
    ``waited`` is told the milliseconds that each request was queued."""

    def __init__(
        self, depth: int, queue_length: int, queue_wait: float, stuck_after: float,
        waited: Callable[[float], None] = lambda milliseconds: None,
    ) -> None:  # fmt: skip
        self.ahead = 1  # requests that a scorer may have, as it takes together what it has
        self.depth, self.queue_length, self.queue_wait = depth, queue_length, queue_wait
        self._stuck_after, self._waited = stuck_after, waited
        self._scorers: list[Link] = []
        self._queue: deque[_Job] = deque()
        self._jobs: dict[int, _Job] = {}  # sent and unanswered, also those whose caller has gone
        self._open: dict[int, _Job] = {}  # whose caller waits, oldest first
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf  # when it goes off
        self._numbers = itertools.count(1)
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def ready(self) -> int:
        return len(self._scorers)

    @property
    def queued(self) -> int:
        return len(self._queue)

    def has(self, scorer: Link) -> bool:
        return scorer in self._scorers

    def add(self, scorer: Link) -> None:
        self._scorers.append(scorer)
        self._pump()

    def retire(self, scorer: Link) -> None:
        """Give it nothing more; what it has it may finish."""
        if scorer in self._scorers:
            self._scorers.remove(scorer)

    def died(self, scorer: Link) -> None:
        self.retire(scorer)
        lost = [self._jobs.pop(number) for number in scorer.in_flight if number in self._jobs]
        scorer.in_flight.clear()
        for position, job in enumerate(lost):
            job.scorer = None
            job.tries += position == 0
            job.alone = True  # one of them may have been the cause: it must not take the others with it again
        for job in lost:
            if job.begun:
                self._finish(job, failures.ScorerDied("the scorer ended in the middle of this answer", cure=_DIED))
            elif job.tries >= TRIES:
                what = "the scorer ended while it worked on this request, and so did a second one"
                self._finish(job, failures.ScorerDied(what, cure=_DIED))
        again = [job for job in lost if not job.future.done()]
        for job in reversed(again):
            self._queue.appendleft(job)
            self._watch_queue(job)
        self._pump()

    async def submit(self, header: dict[str, Any], body: bytes, timeout: float) -> Answer:
        """Raises failures.Throttled (queue full, or waited too long), NotReady, TimedOut, ScorerDied."""
        job = _Job(next(self._numbers), header, body, self._loop.create_future(), timeout)
        self._enter(job)
        try:
            return await job.future
        finally:
            self._leave(job)

    def stream(self, header: dict[str, Any], body: bytes, timeout: float) -> flow.Flow:
        """The answer piece by piece; to be closed. Raises failures.Throttled; the flow raises what ``submit`` does.

        ``timeout``: to the first piece, and between two.
        """
        job = _Job(next(self._numbers), {**header, "stream": flow.WINDOW}, body, self._loop.create_future(), timeout)

        def more(room: int) -> None:
            if job.scorer is not None:
                job.scorer.more(job.number, room)

        job.flow = flow.Flow(job.future, more, lambda: self._leave(job), timeout)
        self._enter(job)
        return job.flow

    def _enter(self, job: _Job) -> None:
        scorer = self._free()
        if scorer is None and len(self._queue) >= self.queue_length * max(1, len(self._scorers)):
            raise failures.Throttled(f"the queue is full ({len(self._queue)} requests wait)", cure="try again later")
        if not self._open:
            self._quiet.clear()
        self._open[job.number] = job
        if job.since + job.timeout < self._due:
            self._look_at(job.since + job.timeout, job.timeout)
        if scorer is not None:
            self._send(job, scorer)
        else:
            self._queue.append(job)
            self._watch_queue(job)

    def ask_review(self, header: dict[str, Any], body: bytes) -> None:
        """Have a scorer that has nothing to do compare an answer with its model's own; none is asked when all have."""
        for scorer in self._scorers:
            if not scorer.in_flight:
                scorer.review(header, body)
                return

    async def quiet(self) -> None:
        """Returns when nothing waits and nothing is being scored for a caller."""
        await self._quiet.wait()

    def piece(self, number: int, body: bytes) -> None:
        """A part of an answer that is streamed."""
        job = self._jobs.get(number)
        if job is not None and job.flow is not None:
            job.flow.put(body)

    def answered(self, number: int, header: dict[str, Any], body: bytes) -> None:
        job = self._jobs.pop(number, None)
        if job is not None:
            job.scorer = None
            if not job.future.done():
                job.future.set_result((header, body))
        if self._queue:
            self._pump()

    def _free(self) -> Link | None:
        best = None
        least = max(self.depth, self.ahead)
        for scorer in self._scorers:
            if len(scorer.in_flight) < least:
                best, least = scorer, len(scorer.in_flight)
        return best

    def _pump(self) -> None:
        while self._queue:
            scorer = self._free()
            if scorer is None:
                return
            job = self._queue.popleft()
            if not job.future.done():
                self._send(job, scorer)

    def _send(self, job: _Job, scorer: Link) -> None:
        if job.queue_timer is not None:
            job.queue_timer.cancel()
            job.queue_timer = None
        if job.tries == 0:
            self._waited((time.monotonic() - job.since) * 1000)
        job.scorer = scorer
        self._jobs[job.number] = job
        scorer.send(job.number, {**job.header, "alone": True} if job.alone else job.header, job.body)

    def _watch_queue(self, job: _Job) -> None:
        job.queue_timer = self._loop.call_later(self.queue_wait, self._waited_too_long, job)

    def _waited_too_long(self, job: _Job) -> None:
        wait = f"{self.queue_wait * 1000:.0f} ms"
        if self._scorers:
            self._finish(job, failures.Throttled(f"no scorer was free within {wait}", cure="try again later"))
        else:
            self._finish(job, failures.NotReady(f"no scorer is running, and none came within {wait}"))

    def _look_time(self) -> None:
        """One timer for all: requests are answered long before their time is over, so that a timer for each would be
        set and cleared for nothing."""
        now = time.monotonic()
        nearest = None
        for job in list(self._open.values()):
            if job.begun:  # from then on its flow looks after the time
                continue
            left = job.since + job.timeout - now
            if left <= 0:
                what = f"no answer within {job.timeout * 1000:.0f} ms"
                self._finish(job, failures.TimedOut(what, cure="send fewer rows, or raise request_timeout_ms"))
            elif nearest is None or left < nearest:
                nearest = left
        self._due, self._timer = math.inf, None
        if nearest is not None:
            self._look_at(now + nearest, nearest)

    def _look_at(self, due: float, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due, self._timer = due, self._loop.call_later(seconds, self._look_time)

    def _still_there(self, job: _Job, scorer: Link) -> None:
        if job.scorer is scorer and self._jobs.get(job.number) is job:
            scorer.lost()

    def _finish(self, job: _Job, error: Exception) -> None:
        if not job.future.done():
            job.future.set_exception(error)

    def _leave(self, job: _Job) -> None:
        """The caller has its answer, its error, or has gone: nobody waits for this job any more."""
        del self._open[job.number]
        if not self._open:
            self._quiet.set()
        if job.queue_timer is not None:
            job.queue_timer.cancel()
            if job in self._queue:
                self._queue.remove(job)
        if job.scorer is None:
            return
        if job.scorer.cancel(job.number):
            del self._jobs[job.number]
            job.scorer = None
            self._pump()
        else:  # still working on it: it gets some more time, then it is taken for stuck
            self._loop.call_later(self._stuck_after, self._still_there, job, job.scorer)
