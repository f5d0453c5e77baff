"""The worker: durable workflows, reactions to facts, schedules, and the look at MLflow's registry."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import threading
import time
from pathlib import Path

from doubleloop import wiring
from doubleloop.automation import loop
from doubleloop.base import actors, errors
from doubleloop.cost import commands as cost
from doubleloop.db import changes
from doubleloop.db.context import Contexts
from doubleloop.durable import engine, rescuing
from doubleloop.endpoints import watching
from doubleloop.endpoints import workflows as endpoints
from doubleloop.environments import builder
from doubleloop.events import archives, checkpoints
from doubleloop.main import flows
from doubleloop.models import commands as models
from doubleloop.monitoring import arrivals
from doubleloop.settings.model import Settings

LOG = logging.getLogger("doubleloop.worker")

SYNC_SECONDS = 3.0
SYNC_AFTER_SECONDS = 30.0  # longer than a version takes to settle
SYNC_AT_LEAST_SECONDS = 60.0
HEARTBEAT_SECONDS = 1.0
RECORD_SECONDS = 1.0
RECORD_AT_LEAST_SECONDS = 5.0
RESCUE_SECONDS = 60.0
ARCHIVE_SECONDS = 3600.0
SERVING_SECONDS = 10.0
PROFILE_SECONDS = 300.0
COST_SECONDS = 300.0
RECORD = actors.service("audit")


def run(settings: Settings) -> None:
    """Work until SIGTERM. What is cut short is found again at the next start."""
    # Before anything is set up: two workers would do the same steps at once, and a killed supervisor's may still stop.
    with (settings.home / "run" / "worker.lock").open("w") as only:
        fcntl.flock(only, fcntl.LOCK_EX)
        _work(settings)


def _work(settings: Settings) -> None:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    contexts = wiring.contexts(settings)
    durable = engine.Engine(
        contexts, flows.workflows(), url=settings.durable_url, poll_interval=settings.poll_interval,
        slots={"compute": settings.slots, "environments": 2},
    )  # fmt: skip
    builder.clean(settings.home)
    endpoints.publish(contexts)
    durable.launch()
    reactions = loop.Loop(contexts, settings.poll_interval)
    registry = settings.home / "mlflow" / "mlflow.sqlite"
    threads = [
        threading.Thread(target=reactions.run, args=(stopping,), name="automation", daemon=True),
        threading.Thread(target=_sync_models, args=(contexts, registry, stopping), name="models", daemon=True),
        threading.Thread(target=_rescue, args=(durable, stopping), name="rescue", daemon=True),
        threading.Thread(target=_keep_record, args=(contexts, settings, stopping), name="record", daemon=True),
        threading.Thread(target=_watch_serving, args=(contexts, stopping), name="serving", daemon=True),
        threading.Thread(target=_profile_arrivals, args=(contexts, stopping), name="profiles", daemon=True),
        threading.Thread(target=_judge_budgets, args=(contexts, stopping), name="budgets", daemon=True),
    ]
    for thread in threads:
        thread.start()
    LOG.info("the worker is ready")
    heartbeat = settings.home / "run" / "worker.json"
    while not stopping.wait(HEARTBEAT_SECONDS):
        beside = heartbeat.with_suffix(".incoming")
        beside.write_text(json.dumps({"at": time.time()}))
        beside.rename(heartbeat)
    heartbeat.unlink(missing_ok=True)
    durable.stop()
    # Steps that still run (a job that is waited for, a build) would hold this process until they are done.
    logging.shutdown()
    os._exit(0)


def _rescue(durable: engine.Engine, stopping: threading.Event) -> None:
    """What waits for a workflow that died is brought on, at the start and now and then."""
    while True:
        try:
            rescuing.rescue(durable, flows.searches())
        except Exception:
            LOG.exception("looking for workflows that died failed; trying again")
        if stopping.wait(RESCUE_SECONDS):
            return


def _keep_record(contexts: Contexts, settings: Settings, stopping: threading.Event) -> None:
    """Sign the head of the record when that is due, and archive what is older than it is kept."""
    looked = 0.0
    changed = changes.Changes(contexts.engine, min(RECORD_AT_LEAST_SECONDS, settings.audit_checkpoint_seconds))
    while not stopping.wait(RECORD_SECONDS):
        try:
            if changed.due():
                checkpoints.keep(contexts, RECORD)
            if time.monotonic() - looked >= ARCHIVE_SECONDS or not looked:
                looked = time.monotonic()
                archives.archive_expired(contexts, RECORD)
        except Exception:
            changed.again()
            LOG.exception("keeping the record failed; trying again")


def _watch_serving(contexts: Contexts, stopping: threading.Event) -> None:
    while not stopping.wait(SERVING_SECONDS):
        try:
            watching.note_quietly(contexts)
        except Exception:
            LOG.exception("looking at the gateway failed; trying again")


def _profile_arrivals(contexts: Contexts, stopping: threading.Event) -> None:
    """Only with processor time that nobody else wants: answering requests comes first."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    while not stopping.wait(PROFILE_SECONDS):
        try:
            arrivals.profile(contexts)
        except Exception:
            LOG.exception("profiling what has arrived failed; trying again")


def _judge_budgets(contexts: Contexts, stopping: threading.Event) -> None:
    while not stopping.wait(COST_SECONDS):
        try:
            cost.judge(contexts)
        except Exception:
            LOG.exception("looking at budgets failed; trying again")


def _sync_models(contexts: Contexts, registry: Path, stopping: threading.Event) -> None:
    """Model versions that the proxy could not record (a crash in between) are found here: while MLflow's database is
    written to and shortly after, and now and then."""
    looked = float("-inf")
    while not stopping.wait(SYNC_SECONDS):
        if time.monotonic() - looked < SYNC_AT_LEAST_SECONDS and not _written(registry, SYNC_AFTER_SECONDS):
            continue
        try:
            models.sync(contexts)
            looked = time.monotonic()
        except errors.Unavailable as error:
            LOG.info("MLflow's registry is not there yet: %s", error.what)
        except Exception:
            LOG.exception("looking at MLflow's registry failed; trying again")


def _written(file: Path, seconds: float) -> bool:
    """Whether the file, or what lies beside it under its name, was written to in the last ``seconds``."""
    try:
        found = [each.stat().st_mtime for each in file.parent.glob(f"{file.name}*")]
    except FileNotFoundError:  # a journal that has just been closed
        return True
    return not found or time.time() - max(found) < seconds
