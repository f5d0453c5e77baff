"""Workflows in memory, for tests of rooms that start them: runs each body to its end, or to the wait it stands at."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from doubleloop.base import actors
from doubleloop.db import changes
from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import ports, store

ACTOR = actors.service("durable")
LOOK_SECONDS = 0.2  # between looks at an outbox that nobody has written to


class EagerFlow:
    """A flow without memory: steps run at once, signals come from queues."""

    def __init__(self, workflow_id: str, engine: EagerEngine) -> None:
        self.id = workflow_id
        self.contexts = engine.contexts
        self._engine = engine

    async def step(self, name: str, do: Callable[..., Any], *args: Any, slot: str | None = None) -> Any:
        self._engine.steps.append((self.id, name))
        return json.loads(json.dumps(await asyncio.to_thread(do, *args)))

    async def wait(self, topic: str, timeout: float) -> Any:
        queue = self._engine.signals[(self.id, topic)]
        over = time.monotonic() + timeout
        self._engine.pump_once()
        while queue.empty():
            late = self._engine.expire or time.monotonic() >= over
            await asyncio.sleep(self._engine.pause_s)
            if late:
                return None
            self._engine.pump_once()
        return queue.get_nowait()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    @contextmanager
    def ctx(self, actor: actors.Actor, workspace: str | None = None) -> Iterator[Ctx]:
        with self.contexts.write(actor, workspace) as ctx:
            yield ctx


class EagerEngine:
    """``run()`` carries out everything in the outbox and returns when all workflows have ended.

    Between looks pass ``pause_s`` seconds; with ``expire`` every wait times out after as many. ``results`` holds each
    workflow's result or its exception.
    """

    def __init__(self, contexts: Contexts, workflows: Mapping[str, ports.Body], *, expire: bool = False) -> None:
        self.contexts = contexts
        self.expire = expire
        self.pause_s = 0.01
        self.results: dict[str, Any] = {}
        self.steps: list[tuple[str, str]] = []
        self.signals: dict[tuple[str, str], asyncio.Queue[Any]] = defaultdict(asyncio.Queue)
        self._workflows = dict(workflows)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._keys: set[str] = set()
        self._changed = changes.Changes(contexts.engine, LOOK_SECONDS)

    def run(self, timeout: float = 60) -> None:
        self._changed.again()
        try:
            asyncio.run(asyncio.wait_for(self._run(), timeout))
        finally:
            self._changed.close()

    async def _run(self) -> None:
        self._tasks = {}
        while self.pump_once() or any(not task.done() for task in self._tasks.values()):
            await asyncio.sleep(self.pause_s / 2)

    def pump_once(self) -> int:
        if not self._changed.due():
            return 0
        with self.contexts.write(ACTOR) as ctx:
            intents = store.pending(ctx)
            store.remove(ctx, [intent.seq for intent in intents])
        for intent in intents:
            self._deliver(intent)
        if intents:
            self._changed.again()
        return len(intents)

    def _deliver(self, intent: store.Intent) -> None:
        if intent.kind == "start":
            if intent.workflow_id not in self._tasks and intent.workflow_id not in self.results:
                body = self._workflows[intent.name]
                self._tasks[intent.workflow_id] = asyncio.ensure_future(
                    self._finish(intent.workflow_id, body, intent.payload)
                )
        elif intent.kind == "signal":
            if intent.key not in self._keys:
                self._keys.add(intent.key or "")
                self.signals[(intent.workflow_id, intent.name)].put_nowait(intent.payload)
        elif intent.workflow_id in self._tasks:
            self._tasks[intent.workflow_id].cancel()

    async def _finish(self, workflow_id: str, body: ports.Body, argument: dict[str, Any]) -> None:
        try:
            self.results[workflow_id] = await body(EagerFlow(workflow_id, self), argument)
        except Exception as error:
            self.results[workflow_id] = error
