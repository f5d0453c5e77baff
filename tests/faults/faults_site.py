"""A real installation in a folder of its own, its project, its people, and the finding and killing of its processes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doubleloop import wiring
from doubleloop.base import actors, errors
from doubleloop.db.context import Contexts
from doubleloop.events import queries as events
from doubleloop.events.model import Fact
from doubleloop.main import addresses, processes, starting, supervisor
from doubleloop.main import home as homes
from doubleloop.sdk import client, documents, transport
from doubleloop.settings.model import Settings
from doubleloop.specs import documents as specs

PROJECT = Path(__file__).with_name("project")
DEV, STAGING, PROD = "fares-dev", "fares-staging", "fares-prod"
AUTHOR, APPROVER = "ada", "grace"
ENDPOINT, MODEL, DEFINITION = "fares", "fares", "fares"
LOOK = actors.service("setup")
# Never a promise about speed: only when to stop waiting for what will not come.
PATIENCE_S = 600.0

CHILDREN = ("api", "worker", "gateway", "mlflow")


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"it did not come to pass: {what}"
        time.sleep(0.1)
    return found


def free_ports(draw: random.Random) -> tuple[int, int]:
    """Two neighbours that nobody listens on, below those that the kernel gives to outgoing connections."""
    while True:
        port = draw.randrange(20000, 30000)
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", port))
            two.bind(("127.0.0.1", port + 1))
            return port, port + 1


@dataclass
class Site:
    settings: Settings
    say: Callable[[str], None]
    _clients: dict[str, client.Client] = field(default_factory=dict)
    _contexts: Contexts | None = None

    # processes

    def up(self) -> None:
        starting.up(self.settings, detach=True, say=lambda _: None)

    def down(self) -> None:
        processes.down(self.settings, lambda _: None)

    def alive(self) -> dict[int, str]:
        """Every living process of this home folder, with its command line."""
        found = {}
        mark = str(self.settings.home).encode()
        for folder in Path("/proc").glob("[0-9]*"):
            if int(folder.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                command = (folder / "cmdline").read_bytes()
                where = os.fsencode(os.readlink(folder / "cwd"))
                if state not in "ZX" and (
                    mark in command or mark in (folder / "environ").read_bytes() or mark in where
                ):
                    found[int(folder.name)] = command.replace(b"\0", b" ").decode(errors="replace").strip()
        return found

    def pids(self, role: str) -> list[int]:
        """Who plays a role now: one of CHILDREN, supervisor, scorer, runner, all (but runners), machine (everybody)."""
        if role == "supervisor":
            holder = supervisor.Lock(self.settings.home).holder()
            return [holder] if holder else []
        if role in CHILDREN:
            return self._child(role)
        everybody = self.alive()
        runners = [pid for pid, command in everybody.items() if "runner/run.py" in command]
        if role == "scorer":
            return [pid for pid, command in everybody.items() if "scorer/serve.py" in command]
        if role == "runner":
            return runners
        # The supervisor first, or it would start others while they die.
        first = self.pids("supervisor")
        if role == "machine":
            return [*first, *(pid for pid in everybody if pid not in first)]
        others = [pid for name in CHILDREN for pid in self._child(name)]
        return [*first, *others, *self.pids("scorer")]

    def _child(self, name: str) -> list[int]:
        try:
            entry = json.loads((self.settings.home / "run" / "processes.json").read_text())[name]
        except (OSError, KeyError, ValueError):
            return []
        same = entry["start_time"] and supervisor.start_time(entry["pid"]) == entry["start_time"]
        return [entry["pid"]] if same and not _is_dead(entry["pid"]) else []

    def kill(self, role: str, draw: random.Random) -> str:
        """kill -9; one of several scorers or runners. Returns who it was; empty when nobody plays the role now."""
        pids = self.pids(role)
        if role in ("scorer", "runner") and pids:
            pids = [draw.choice(pids)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if role in ("supervisor", "all", "machine"):
            until(lambda: not self.pids("supervisor"), "the supervisor is dead")
        return f"{role} ({', '.join(map(str, pids))})" if pids else ""

    # looking, without any of its processes

    @property
    def contexts(self) -> Contexts:
        if self._contexts is None:
            self._contexts = wiring.contexts(self.settings)
        return self._contexts

    def facts(self, after: int = 0, *types: str) -> list[Fact]:
        with self.contexts.read(LOOK) as ctx:
            found: list[Fact] = []
            while batch := events.facts(ctx, types=types, after=found[-1].seq if found else after):
                found += batch
            return found

    def workflows(self) -> dict[str, list[str]]:
        """Status -> ids of the durable workflows."""
        found: dict[str, list[str]] = {}
        with contextlib.closing(sqlite3.connect(self.settings.home / "durable.sqlite", timeout=30)) as connection:
            for status, id_ in connection.execute("select status, workflow_uuid from workflow_status"):
                found.setdefault(status, []).append(id_)
        return found

    def outbox(self) -> int:
        with self.contexts.read(LOOK) as ctx:
            return int(ctx.tx.exec_driver_sql("select count(*) from durable_outbox").scalar() or 0)

    def quiet(self) -> bool:
        """Nothing is left to be done."""
        return self.outbox() == 0 and not {"PENDING", "ENQUEUED"} & self.workflows().keys()

    # people

    def client(self, user: str) -> client.Client:
        if user not in self._clients:
            file = self.settings.home / ("client.json" if user == homes.ADMIN else f"{user}.json")
            url = f"http://{self.settings.host}:{self.settings.port}"
            patience = transport.Patience(seconds=180.0, unknown=180.0)
            self._clients[user] = client.Client(url, json.loads(file.read_text())["token"], patience=patience)
        return self._clients[user]

    def ship(self, user: str, file: Path) -> dict[str, Any]:
        return documents.ship(self.client(user).blobs, specs.load(file))

    @property
    def project(self) -> Path:
        return self.settings.home.parent / "project"

    def lines(self, name: str) -> list[str]:
        file = self.settings.home.parent / name
        return file.read_text().splitlines() if file.exists() else []

    def begin(self) -> None:
        """Workspaces, people, data, a first version (which builds the environment), the release definition."""
        self._lay_project()
        admin = self.client(homes.ADMIN)
        admin.setup.apply(self.ship(homes.ADMIN, self.project / "setup.yml"))
        for user in (AUTHOR, APPROVER):
            token = admin.create_token("test", user=user)
            addresses.write_private(self.settings.home / f"{user}.json", {"token": token["token"]})
        author = self.client(AUTHOR)
        registry = author.workspace("registry")
        registry.data.create(self.ship(AUTHOR, self.project / "data.yml"), label="production")
        registry.data.create(self.ship(AUTHOR, self.project / "holdout.yml"))
        jobs = author.workspace(DEV).jobs
        jobs.submit(self.ship(AUTHOR, self.project / "job.yml"), id_="first")
        job = until(lambda: _ended(jobs.show("first")), "the first training has ended")
        assert job["status"] == "completed", job
        author.definitions.put(self.ship(AUTHOR, self.project / "release.yml"))

    def _lay_project(self) -> None:
        shutil.copytree(PROJECT, self.project, ignore=shutil.ignore_patterns("__pycache__"))
        for name, mark in (("job.yml", "RUNS_FILE"), ("release.yml", "CHECKS_FILE")):
            file = self.project / name
            file.write_text(file.read_text().replace(f"@{mark}@", str(self.settings.home.parent / mark.lower())))
        draw = random.Random(7)
        for name, rows in (("data.csv", 300), ("holdout.csv", 80)):
            lines = ["distance,minutes,fare"]
            for _ in range(rows):
                distance, minutes = draw.uniform(0.5, 20), draw.uniform(3, 60)
                fare = 2.5 + 1.8 * distance + 0.4 * minutes + draw.gauss(0, 0.5)
                lines.append(f"{distance:.3f},{minutes:.3f},{fare:.3f}")
            (self.project / name).write_text("\n".join(lines) + "\n")

    def approve(self, id_: str) -> int:
        """As the second person, however often the server goes away meanwhile; how many tries it took."""
        releases = self.client(APPROVER).releases
        for attempt in range(1, 50):
            digest = releases.evidence(id_)["digest"]
            try:
                releases.approve(id_, digest, "looks good")
                return attempt
            except errors.Unavailable:
                continue  # it broke in the middle: whether it counted will be seen
            except errors.Conflict:
                assert attempt > 1, "the first answer was told to be the second"
                return attempt
        raise AssertionError("the approval could not be given")


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (OSError, IndexError):
        return True


def _ended(job: dict[str, Any]) -> dict[str, Any] | None:
    return job if job["status"] in ("completed", "failed", "cancelled") else None


@contextlib.contextmanager
def installation(folder: Path, draw: random.Random, say: Callable[[str], None]) -> Iterator[Site]:
    """Up with the project in place; whatever happened, nothing of it is left running."""
    port, gateway_port = free_ports(draw)
    site = Site(Settings(home=folder / "home", port=port, gateway_port=gateway_port), say)
    try:
        site.up()
        site.begin()
        yield site
    finally:
        for pid in site.pids("machine"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
