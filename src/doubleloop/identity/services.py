"""What the system's own processes need, and no more; what the code of a job may do; what the administrator may do."""

from __future__ import annotations

from doubleloop.identity.actions import Action

# The first administrator sets the house up. Approving is left out, so that it needs a persona, and so are the values of
# secrets.
ADMIN = frozenset(Action) - {Action.RELEASE_APPROVE, Action.SECRET_GET}

_READ = frozenset(
    {
        Action.COMPUTE_READ, Action.DATA_READ, Action.ENDPOINT_READ, Action.ENVIRONMENT_READ, Action.JOB_READ,
        Action.LOG_READ, Action.MODEL_READ, Action.MONITOR_READ, Action.RELEASE_READ,
        Action.RULE_READ, Action.SCHEDULE_READ, Action.STORAGE_READ, Action.TRACKING_READ, Action.WORKSPACE_READ,
    }
)  # fmt: skip
_RUN = _READ | {
    Action.DATA_WRITE, Action.ENDPOINT_INVOKE, Action.ENDPOINT_KEYS, Action.ENDPOINT_WRITE, Action.ENVIRONMENT_WRITE,
    Action.JOB_CANCEL, Action.JOB_SUBMIT, Action.MODEL_WRITE, Action.MONITOR_RUN, Action.MONITOR_WRITE,
    Action.RELEASE_START, Action.RELEASE_WRITE, Action.RULE_WRITE, Action.SCHEDULE_WRITE, Action.SECRET_GET,
    Action.SECRET_READ, Action.STORAGE_WRITE, Action.TRACKING_WRITE,
}  # fmt: skip

# The most that the code of a job may do in the name of who submitted it, whatever else they may do themselves: read,
# record runs, register models, add data. Nothing that moves traffic, starts work or decides.
JOB_CODE = _READ | {
    Action.DATA_WRITE, Action.ENDPOINT_INVOKE, Action.MODEL_WRITE, Action.TRACKING_WRITE,
}  # fmt: skip

SERVICES: dict[str, frozenset[Action]] = {
    "service:jobs": _RUN,
    "service:releases": _RUN,
    "service:monitor": _READ | {Action.MONITOR_RUN, Action.DATA_WRITE, Action.STORAGE_WRITE},
    "service:automation": _READ
    | {
        Action.DATA_WRITE, Action.ENDPOINT_WRITE, Action.JOB_SUBMIT, Action.MONITOR_RUN, Action.RELEASE_START,
        Action.STORAGE_WRITE,
    },
    "service:tracking": frozenset({Action.MODEL_READ, Action.MODEL_WRITE, Action.RELEASE_READ}),
    "service:durable": frozenset(),
    "service:setup": frozenset(Action) - {Action.RELEASE_APPROVE, Action.SECRET_GET},
}  # fmt: skip
