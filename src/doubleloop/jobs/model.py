"""A job, its steps, and what a step is to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """Of a job (never skipped) and of a step. A step is queued until an attempt of it has begun."""

    QUEUED = "queued"
    PREPARING = "preparing"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.SKIPPED})


class Kind(StrEnum):
    """What a step is. The first are one process of its environment each; the others are made of steps of their own."""

    COMMAND = "command"
    PARALLEL = "parallel"
    SPARK = "spark"
    PIPELINE = "pipeline"
    DO_WHILE = "do_while"
    PARALLEL_FOR = "parallel_for"
    SWEEP = "sweep"
    AUTOML = "automl"

    @property
    def is_group(self) -> bool:
        return self in GROUPS

    @property
    def is_search(self) -> bool:
        return self in SEARCHES


# Groups whose steps are trials: they are judged by a metric, and one that fails is theirs to judge.
SEARCHES = frozenset({Kind.SWEEP, Kind.AUTOML})
GROUPS = frozenset({Kind.PIPELINE, Kind.DO_WHILE, Kind.PARALLEL_FOR}) | SEARCHES


@dataclass(frozen=True)
class Task:
    """What a step is to do: its file with every binding followed to its source.

    ``inputs``: name → ``{"type", "value"}`` (literal), ``{"type", "reference", "mode"}`` (data) or ``{"type", "step",
    "output"}`` (what another step writes); a value of None is an optional input that is not set. In the steps inside a
    group also ``{"input", "default"}``: the group's own input of that name (see ``growing``).
    ``outputs``: name → ``{"type", "asset", "version", "path", "job_outputs"}``, the last the job's outputs that are it;
    ``service`` names the process that registers it where the job's owner need not be allowed to.
    ``environment`` is a reference or an inline definition, ``code`` a content address or None, ``timeout`` seconds.
    ``minibatches`` is set for a step whose command is ours: see ``jobs.minibatches``.
    ``settings`` is what its kind needs to know; ``parent`` the group it belongs to; ``launcher`` how its command is
    started when not as one process; ``when`` its conditions, ``{"source": an input, "is": true or false}``; ``last``:
    it runs when all others have ended; ``trial`` the values of a search that it tries. ``compute`` is the name that its
    file gives, "" for none: what it costs goes by it.
    """

    name: str
    command: str
    environment: str | Mapping[str, Any]
    code: str | None = None
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    timeout: float = 0
    is_deterministic: bool = True
    display_name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    minibatches: Mapping[str, Any] | None = None
    kind: Kind = Kind.COMMAND
    parent: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    launcher: Mapping[str, Any] = field(default_factory=dict)
    when: tuple[Mapping[str, Any], ...] = ()
    last: bool = False
    trial: Mapping[str, Any] = field(default_factory=dict)
    compute: str = ""


def task(stored: Mapping[str, Any]) -> Task:
    """A task from its JSON."""
    return Task(
        **{
            **stored, "needs": tuple(stored["needs"]), "when": tuple(stored.get("when", ())),
            "kind": Kind(stored.get("kind", Kind.COMMAND)),
        }
    )  # fmt: skip


@dataclass(frozen=True)
class Job:
    """``outputs`` are known once the job is completed: name → ``{"type", "reference", "step", "output"}``.

    ``purpose`` says why the job exists when the system started it. ``error`` is what, where and cure as text.
    ``round`` counts from 1 and grows with each retry. ``commits``: what its code was taken from, as its sender's git
    told (``hash``, ``repository``, ``branch``, ``changed``, ``people``).
    """

    id: str
    workspace: str
    display_name: str
    kind: str
    experiment: str
    status: Status
    created_by: str
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str = ""
    purpose: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    run_id: str | None = None
    code: str | None = None
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    notify: str | None = None
    force_rerun: bool = False
    continue_on_step_failure: bool = False
    cancelled_by: str | None = None
    round: int = 1
    pins: Mapping[str, Any] = field(default_factory=dict)
    commits: tuple[Mapping[str, Any], ...] = ()
    archived: bool = False

    @property
    def workflow(self) -> str:
        """The id of the durable workflow of this round."""
        return f"job/{self.id}/{self.round}"


@dataclass(frozen=True)
class Usage:
    """How long one attempt of a step had the machine; ``end`` None: it has it still. ``compute`` as its file says."""

    workspace: str
    job: str
    step: str
    compute: str
    start: datetime
    end: datetime | None


@dataclass(frozen=True)
class Step:
    """The newest attempt of a step. ``attempt`` is 0 before the first has begun.

    ``inputs``: name → what was really used (``{"type", "reference" or "value", "asset", "from"}``); ``outputs``:
    name → ``{"type", "reference", "asset"}``. ``reused_from`` is ``job/step`` of the run whose outputs these are.
    ``lost``: the runner was killed, the command did not fail. ``losses`` counts lost attempts of this round.
    ``stop``: why it is to end before its time, when its group has given it up. ``progress`` is what a group has seen
    of its steps.
    """

    job: str
    name: str
    task: Task
    status: Status
    attempt: int = 0
    digest: str | None = None
    reused_from: str | None = None
    run_id: str | None = None
    environment_lock: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    reason: str = ""
    lost: bool = False
    losses: int = 0
    token: str | None = None
    log: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    stop: str = ""
    progress: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def id(self) -> str:
        return f"step:{self.job}/{self.name}"

    @property
    def run(self) -> str:
        """The name that compute knows this step's runs by."""
        return f"{self.job}.{self.name}"

    @property
    def workflow(self) -> str:
        """The id of the durable workflow of its newest attempt."""
        return f"{self.job}/{self.name}/{self.attempt}"


@dataclass(frozen=True)
class Edge:
    """``output`` of step ``source`` goes into ``input`` of step ``target``; both empty for a mere order."""

    source: str
    target: str
    output: str = ""
    input: str = ""


@dataclass(frozen=True)
class Graph:
    """A job's steps in the order of their file, and what flows between them."""

    steps: tuple[Step, ...]
    edges: tuple[Edge, ...]
