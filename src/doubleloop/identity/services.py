"""What the system's own processes need, and no more; what the code of a job may do; what the administrator may do.

Workers act as these; tests ask that no work is done as another, and that none may do everything.
"""

from __future__ import annotations

from doubleloop.identity.actions import Action

# The first administrator sets the house up. Approving is left out, so that it needs a persona, and so are the values of
# secrets.
ADMIN = frozenset(Action) - {Action.RELEASE_APPROVE, Action.SECRET_GET}

_READ = frozenset(
    {
        Action.COMPUTE_READ, Action.DATA_READ, Action.ENDPOINT_READ, Action.ENVIRONMENT_READ, Action.JOB_READ,
        Action.LABELING_READ, Action.LOG_READ, Action.MODEL_READ, Action.MONITOR_READ, Action.RELEASE_READ,
        Action.RULE_READ, Action.SCHEDULE_READ, Action.STORAGE_READ, Action.TRACKING_READ, Action.WORKSPACE_READ,
    }
)  # fmt: skip

# The most that the code of a job may do in the name of who submitted it, whatever else they may do themselves: read,
# record runs, register models, add data. Nothing that moves traffic, starts work or decides.
JOB_CODE = _READ | {
    Action.DATA_WRITE, Action.ENDPOINT_INVOKE, Action.MODEL_WRITE, Action.TRACKING_WRITE,
}  # fmt: skip

JOBS = "service:jobs"
SERVICES: dict[str, frozenset[Action]] = {
    # What a command reads and registers, it does in the name of who submitted it.
    "service:jobs": _READ
    | {Action.SECRET_GET, Action.SECRET_READ, Action.TRACKING_WRITE},
    # Its retraining jobs are its own, so it has what the code of jobs may do.
    "service:releases": JOB_CODE
    | {
        Action.ENDPOINT_KEYS, Action.ENDPOINT_WRITE, Action.JOB_CANCEL, Action.JOB_SUBMIT, Action.MONITOR_WRITE,
        Action.RELEASE_START, Action.RELEASE_WRITE, Action.SECRET_GET, Action.SECRET_READ,
    },
    # Registers what an invocation of a batch endpoint left; its caller needs no right to write data.
    "service:batch": frozenset({Action.DATA_WRITE}),
    "service:monitor": _READ | {Action.DATA_WRITE, Action.MONITOR_RUN},
    # What a rule or schedule does is asked of its author; this is for the rules that every installation has.
    "service:automation": _READ
    | {
        Action.DATA_WRITE, Action.ENDPOINT_WRITE, Action.JOB_SUBMIT, Action.LABELING_WRITE, Action.MONITOR_RUN,
        Action.RELEASE_START,
        Action.SECRET_GET, Action.SECRET_READ,
    },
    "service:tracking": frozenset({Action.MODEL_READ, Action.MODEL_WRITE, Action.RELEASE_READ}),
    "service:durable": frozenset(),
    # What it does is said by settings, and asked of nobody.
    "service:audit": frozenset(),
    # The first start, before there is anybody; no worker acts as it.
    "service:setup": frozenset(Action) - {Action.RELEASE_APPROVE, Action.SECRET_GET},
}  # fmt: skip

PURPOSES: dict[str, str] = {
    "service:jobs": "workspace process: builds environments, runs jobs, gives them secrets",
    "service:releases": "CI/CD process: releases and deployments",
    "service:batch": "registers what batch endpoints leave",
    "service:monitor": "monitoring process: computes signals over inference logs",
    "service:automation": "reacts to facts and times, gives webhooks their secrets",
    "service:tracking": "governance process: catalogues what was registered in MLflow",
    "service:durable": "hands over work; may do nothing itself",
    "service:audit": "signs the record, and archives what is older than it is kept",
    "service:setup": "the first start",
}
# The door of the API acts as `gate` while it does not know yet who asks.
RESERVED = frozenset(SERVICES) | {"service:gate"}
