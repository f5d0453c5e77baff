"""Following what runs: a job's logs, a deployment, a monitor's run, a release; across restarts of the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from doubleloop.base import errors
from doubleloop.cli import interrupts, output
from doubleloop.cli.session import Session
from doubleloop.sdk import automation, endpoints, jobs, logs, releases, routes

# Between two looks while nothing happens, rising from the first to the last.
_FIRST, _LAST = 0.15, 1.0
# How long a server may take to come back, in seconds.
_RESTART = 180.0


@contextmanager
def leaving(session: Session, hint: str) -> Iterator[None]:
    """Sit out a restart of the server; on Ctrl-C say that the work itself goes on."""
    session.be_patient(_RESTART)
    try:
        yield
    except KeyboardInterrupt:
        session.note(f"\n{hint}")
        raise


class _Pace:
    """Looks often while things happen, seldom while they do not."""

    def __init__(self) -> None:
        self._pause = _FIRST

    def rest(self, moved: bool) -> None:
        self._pause = _FIRST if moved else min(_LAST, self._pause * 1.5)
        interrupts.check()
        time.sleep(self._pause)


def job(session: Session, id_: str, write: Callable[[str], None] | None = None) -> routes.Body:
    """Follow a job to its end. Raises Failed when it fails or is cancelled."""
    logs_ = logs.JobLogs(session.workspace.jobs, id_, write or session.say)
    pace = _Pace()
    hint = f"No longer following; the job goes on. Again: `doubleloop job stream -n {id_}`; to stop it: `job cancel`."
    with leaving(session, hint):
        while True:
            found = session.workspace.jobs.show(id_)
            moved = logs_.look()
            if found["status"] in jobs.ENDED and not moved:
                break
            if not moved:
                session.progress.say(f"{id_}: {found['status']}")
            else:
                session.progress.clear()
            pace.rest(moved)
    if found["status"] != "completed":
        raise errors.Failed(
            f"Job {id_} {found['status']}{_because(found.get('error'))}",
            cure=_cure(found.get("error")) or f"See `doubleloop job show -n {id_}`.",
        )
    return found


def _because(error: Any) -> str:
    if isinstance(error, dict):
        return f": {error.get('message') or error.get('code')}"
    return f": {error}" if error else ""


def _cure(error: Any) -> str:
    return str(error.get("cure") or "") if isinstance(error, dict) else ""


def deployment(session: Session, endpoint: str, name: str, id_: str) -> routes.Body:
    """Wait until a deployment is ready. Raises Failed when it fails, Conflict when another one took its place."""
    pace, state = _Pace(), ""
    hint = f"No longer waiting; see `doubleloop online-deployment show -e {endpoint} -n {name}`."
    with leaving(session, hint):
        while True:
            found = session.workspace.endpoints.deployment(endpoint, name)
            if found.get("id", id_) != id_:
                raise errors.Conflict(f"Deployment {name} was replaced by another before it was ready")
            moved, state = found["status"] != state, str(found["status"])
            if state in endpoints.SETTLED:
                break
            session.progress.say(f"{endpoint}/{name}: {state}", always=moved)
            pace.rest(moved)
    if state != "ready":
        raise errors.Failed(
            f"Deployment {name} of {endpoint} is {state}{_because(found.get('error'))}",
            cure=_cure(found.get("error")) or f"See `doubleloop online-deployment get-logs -e {endpoint} -n {name}`.",
        )
    return found


def monitor_run(session: Session, name: str, id_: str) -> routes.Body:
    """Wait for a monitor's run. Raises Failed when it fails (an alert is no failure)."""
    pace = _Pace()
    with leaving(session, f"No longer waiting; see `doubleloop monitor show -n {name}`."):
        while True:
            found = session.workspace.monitors.run(name, id_)
            if found["status"] in automation.ENDED:
                break
            session.progress.say(f"{name}: {found['status']}")
            pace.rest(False)
    if found["status"] == "failed":
        raise errors.Failed(
            f"Run {id_} of monitor {name} failed{_because(found.get('error'))}", cure=_cure(found.get("error"))
        )
    return found


def release(
    session: Session, id_: str, *, until_waiting: bool, write: Callable[[str], None] | None = None
) -> routes.Body:
    """Tell what happens to a release until it ends, or waits for a person. Raises Failed unless it completed."""
    write, pace, after, asked = write or session.say, _Pace(), 0, False
    with leaving(session, f"No longer following; the release goes on. Again: `doubleloop release stream -n {id_}`."):
        while True:
            found = session.client.releases.show(id_)
            facts = session.client.releases.facts(id_, after)
            for fact in facts:
                write(fact_line(fact) + "\n")
                after = max(after, int(fact["seq"]))
            waiting = found["status"] == "waiting"
            if waiting and not asked:
                write(waiting_line(found) + "\n")
            asked = waiting
            if (found["status"] not in releases.GOING and not facts) or (waiting and until_waiting):
                break
            pace.rest(bool(facts))
    if found["status"] not in releases.GOING and found["status"] != "completed":
        reasons = "; ".join(str(reason) for reason in found.get("reasons") or [])
        raise errors.Failed(
            f"Release {id_} is {found['status'].replace('_', ' ')}{': ' + reasons if reasons else ''}",
            cure=f"See `doubleloop release show -n {id_}` and `doubleloop release evidence -n {id_}`.",
        )
    return found


def fact_line(fact: routes.Body) -> str:
    """``21:56:00Z staging  release.evidence  check=0:data_quality outcome=passed``."""
    said = " ".join(
        f"{key}={output.plain(value)}" for key, value in (fact.get("data") or {}).items() if key != "release"
    )
    parts = [output.when(fact["at"])[11:], str(fact.get("workspace") or ""), str(fact["type"]), said]
    return "  ".join(part for part in parts if part)


def waiting_line(found: routes.Body) -> str:
    for stage in found.get("stages") or []:
        approval = stage.get("approval")
        if approval and approval.get("status") == "open":
            who = " or ".join(str(each).replace("_", " ") for each in approval.get("personas") or [])
            given = len(approval.get("given") or [])
            return (
                f"Waits for {approval.get('count', 1) - given} approval(s) by {who} for {stage['workspace']}: "
                f"`doubleloop release approve -n {found['id']}`"
            )
    return "Waits."
