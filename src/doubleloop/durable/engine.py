"""DBOS behind the port: registration, recovery, the outbox pump, named limits."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dbos
from dbos import DBOS, SetWorkflowID
from dbos._dbos import _get_dbos_instance
from dbos._serialization import Serializer

from doubleloop.base import actors
from doubleloop.db import changes
from doubleloop.db.context import Contexts, Ctx
from doubleloop.durable import ports, rules, store

LOG = logging.getLogger("doubleloop.durable")

# DBOS recovers only workflows of the same version. Ours is set by hand, because bodies must stay replayable across
# releases of Doubleloop: raise it, with a migration of what is in flight, when a body changes its steps.
WORKFLOW_VERSION = "1"
EXECUTOR = "worker"
PUMP = actors.service("durable")
DEAD = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
ASKED_AT_ONCE = 200
LOOK_SECONDS = 5.0  # between looks at an outbox that nobody has written to


class JsonSerializer(Serializer):
    """Readable, language-neutral, and no code runs when it is read (DBOS's default is pickle)."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=_encode_error)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data, object_hook=_decode_error)

    def name(self) -> str:
        return "doubleloop_json"


class StepFailed(Exception):
    """What a failed step or workflow left behind; ``kind`` is the name of the original exception's class."""

    def __init__(self, message: str, kind: str = "Exception") -> None:
        super().__init__(message)
        self.kind = kind


def _encode_error(value: Any) -> Any:
    if isinstance(value, StepFailed):
        return {"$error": str(value), "$kind": value.kind}
    if isinstance(value, BaseException):
        return {"$error": str(value), "$kind": type(value).__name__}
    raise TypeError(f"a workflow may only pass JSON, not {type(value).__name__}")


def _decode_error(value: dict[str, Any]) -> Any:
    return StepFailed(value["$error"], value.get("$kind", "Exception")) if "$error" in value else value


class DbosFlow:
    def __init__(self, workflow_id: str, engine: Engine) -> None:
        self.id = workflow_id
        self.contexts = engine.contexts
        self._engine = engine

    async def step(self, name: str, do: Callable[..., Any], *args: Any, slot: str | None = None) -> Any:
        if slot is None:
            return await DBOS.run_step_async({"name": name}, do, *args)
        async with self._engine.slot(slot):
            return await DBOS.run_step_async({"name": name}, do, *args)

    async def wait(self, topic: str, timeout: float) -> Any:
        return await DBOS.recv_async(topic, timeout_seconds=timeout)

    async def sleep(self, seconds: float) -> None:
        await DBOS.sleep_async(seconds)

    @contextmanager
    def ctx(self, actor: actors.Actor, workspace: str | None = None) -> Iterator[Ctx]:
        with self.contexts.write(actor, workspace) as ctx:
            yield ctx


class Engine:
    """One per worker process. ``launch`` recovers what was in flight, then pumps the outbox until ``stop``."""

    def __init__(
        self,
        contexts: Contexts,
        workflows: Mapping[str, ports.Body],
        *,
        url: str,
        poll_interval: float = 0.1,
        slots: Mapping[str, int] | None = None,
        max_threads: int = 64,
    ) -> None:
        self.contexts = contexts
        self._poll_interval = poll_interval
        self._slot_sizes = dict(slots or {})
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._stop = threading.Event()
        self._pump: threading.Thread | None = None
        if url.startswith("sqlite:///"):
            prepare_sqlite(Path(url.removeprefix("sqlite:///")))
        logging.getLogger("dbos").setLevel(logging.WARNING)
        DBOS(
            config={
                "name": "doubleloop",
                "system_database_url": url,
                "application_version": WORKFLOW_VERSION,
                "executor_id": EXECUTOR,
                "serializer": JsonSerializer(),
                "max_executor_threads": max_threads,
                "notification_listener_polling_interval_sec": poll_interval,
                "log_level": "WARNING",
            }
        )
        self._workflows = {name: self._register(name, body) for name, body in workflows.items()}

    def _register(self, name: str, body: ports.Body) -> Any:
        async def run(argument: dict[str, Any]) -> Any:
            workflow_id = DBOS.workflow_id
            assert workflow_id is not None
            return await body(DbosFlow(rules.first(workflow_id), self), argument)

        run.__qualname__ = run.__name__ = name
        return DBOS.workflow(name=name, max_recovery_attempts=None)(run)

    def slot(self, name: str) -> asyncio.Semaphore:
        if name not in self._slots:
            self._slots[name] = asyncio.Semaphore(self._slot_sizes.get(name, 1))
        return self._slots[name]

    def launch(self) -> None:
        DBOS.launch()
        self._pump = threading.Thread(target=self._run_pump, name="outbox", daemon=True)
        self._pump.start()

    def stop(self) -> None:
        """Stop taking work; running steps are abandoned and found again at the next launch."""
        self._stop.set()
        if self._pump:
            self._pump.join(timeout=5)
        DBOS.destroy(workflow_completion_timeout_sec=0)

    def _run_pump(self) -> None:
        changed = changes.Changes(self.contexts.engine, LOOK_SECONDS)
        while not self._stop.is_set():
            moved = 0
            try:
                if changed.due():
                    moved = self.pump_once()
            except Exception:
                LOG.exception("the outbox could not be emptied; trying again")
                changed.again()
                self._stop.wait(1.0)
            if moved == 0:
                self._stop.wait(self._poll_interval)
            else:
                changed.again()
        changed.close()

    def pump_once(self) -> int:
        """Hand every pending intent to DBOS, then forget it. A crash in between repeats it, which is harmless:
        starts are keyed by workflow id and signals by their key."""
        with self.contexts.read(PUMP) as ctx:
            intents = store.pending(ctx)
        for intent in intents:
            self._deliver(intent)
        if intents:
            with self.contexts.write(PUMP) as ctx:
                store.remove(ctx, [intent.seq for intent in intents])
        return len(intents)

    def _deliver(self, intent: store.Intent) -> None:
        if intent.kind == "start":
            if intent.name not in self._workflows:
                LOG.error("no workflow is named %s; %s is dropped", intent.name, intent.workflow_id)
                return
            self._start(intent)
        elif intent.kind == "signal":
            try:
                DBOS.send(
                    self._newest(intent.workflow_id), intent.payload, topic=intent.name, idempotency_key=intent.key
                )
            except dbos.error.DBOSNonExistentWorkflowError:
                LOG.error("signal %s for unknown workflow %s is dropped", intent.name, intent.workflow_id)
        else:
            DBOS.cancel_workflow(self._newest(intent.workflow_id))

    def _newest(self, workflow_id: str) -> str:
        again = rules.second(workflow_id)
        return again if self.fates([again]) else workflow_id

    def fates(self, workflow_ids: Sequence[str]) -> dict[str, rules.Fate]:
        found = {}
        for at in range(0, len(workflow_ids), ASKED_AT_ONCE):
            part = list(workflow_ids[at : at + ASKED_AT_ONCE])
            for each in DBOS.list_workflows(workflow_ids=part, load_input=False):
                error = f"{type(each.error).__name__}: {each.error}" if each.error else each.status.lower()
                found[each.workflow_id] = rules.Fate(each.status in DEAD, error)
        return found

    def restart(self, workflow_id: str, workflow: str, argument: dict[str, Any]) -> None:
        self._start(store.Intent(0, "start", rules.second(workflow_id), workflow, argument, None))

    def _start(self, intent: store.Intent) -> None:
        """Start on DBOS's own event loop: its synchronous start holds a thread of the step pool for as long as the
        workflow lives (many waiting ones would leave none for steps), and marks it failed when the process stops."""

        async def begin() -> None:
            with SetWorkflowID(intent.workflow_id):
                await DBOS.start_workflow_async(self._workflows[intent.name], intent.payload)

        _get_dbos_instance()._background_event_loop.submit_coroutine(begin())


def prepare_sqlite(path: Path) -> None:
    """Create the file in WAL mode, which DBOS itself never sets and concurrent processes need."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
