"""Which persona may do which action, in which kind of workspace: pure, default deny.

Condensed from the article's production and preproduction tables; where they are silent (end users invoke
endpoints, who approves a release) the choice is written beside the line.
"""

from __future__ import annotations

from collections.abc import Iterable

from doubleloop.identity.actions import Action
from doubleloop.identity.model import Decision, Group, Persona, WorkspaceKind

_READ_DEVELOPMENT = frozenset(
    {
        Action.COMPUTE_READ, Action.DATA_READ, Action.ENDPOINT_READ, Action.ENVIRONMENT_READ, Action.JOB_READ,
        Action.MODEL_READ, Action.MONITOR_READ, Action.RELEASE_READ, Action.RULE_READ, Action.SCHEDULE_READ,
        Action.TRACKING_READ, Action.WORKSPACE_READ,
    }
)  # fmt: skip
_READ_OPERATION = frozenset(
    {Action.ENDPOINT_READ, Action.JOB_READ, Action.MODEL_READ, Action.MONITOR_READ, Action.RELEASE_READ,
     Action.WORKSPACE_READ}
)  # fmt: skip
_DEVELOP = _READ_DEVELOPMENT | frozenset(
    {
        Action.DATA_WRITE, Action.ENDPOINT_INVOKE, Action.ENDPOINT_KEYS, Action.ENDPOINT_WRITE,
        Action.ENVIRONMENT_WRITE, Action.JOB_CANCEL, Action.JOB_SUBMIT, Action.MODEL_WRITE, Action.MONITOR_RUN,
        Action.MONITOR_WRITE, Action.RELEASE_START, Action.RELEASE_WRITE, Action.RULE_WRITE, Action.SCHEDULE_WRITE,
        Action.TRACKING_WRITE,
    }
)  # fmt: skip
_OPERATE = (_DEVELOP - {Action.RELEASE_WRITE}) | frozenset(
    {
        Action.AUDIT_READ,
        Action.COMPUTE_WRITE,
        Action.IDENTITY_READ,
        Action.IDENTITY_WRITE,
        Action.WORKSPACE_WRITE,
    }
)

_PREPRODUCTION: dict[Persona, frozenset[Action]] = {
    Persona.DATA_SCIENTIST: _DEVELOP,
    Persona.DATA_ANALYST: _READ_DEVELOPMENT | {Action.DATA_WRITE},
    Persona.MODEL_TESTER: _READ_DEVELOPMENT | {Action.ENDPOINT_INVOKE},  # silent: testers try what they test
    Persona.BUSINESS_STAKEHOLDER: _READ_OPERATION,
    Persona.PROJECT_LEAD: _DEVELOP | {Action.AUDIT_READ, Action.RELEASE_APPROVE},
    Persona.PRODUCT_OWNER: _READ_OPERATION | {Action.RELEASE_APPROVE},  # silent: owners may be named in a release
    Persona.PLATFORM_SUPPORT: _OPERATE,
    Persona.MODEL_END_USER: frozenset({Action.ENDPOINT_INVOKE}),
    Persona.CICD_PROCESS: _OPERATE | {Action.RELEASE_WRITE},
    Persona.WORKSPACE_PROCESS: _DEVELOP,
    Persona.MONITORING_PROCESS: _READ_DEVELOPMENT | {Action.MONITOR_RUN, Action.RELEASE_START, Action.DATA_WRITE},
    Persona.GOVERNANCE_PROCESS: _READ_DEVELOPMENT | {Action.AUDIT_READ},
}

_PRODUCTION: dict[Persona, frozenset[Action]] = {
    Persona.DATA_SCIENTIST: frozenset({Action.MODEL_READ, Action.MONITOR_READ, Action.RELEASE_READ}),
    Persona.DATA_ANALYST: frozenset(),
    Persona.MODEL_TESTER: frozenset(),
    Persona.BUSINESS_STAKEHOLDER: frozenset({Action.MONITOR_READ}),
    Persona.PROJECT_LEAD: _READ_DEVELOPMENT | {Action.AUDIT_READ, Action.RELEASE_APPROVE},
    Persona.PRODUCT_OWNER: frozenset({Action.MONITOR_READ, Action.RELEASE_APPROVE, Action.RELEASE_READ}),
    Persona.PLATFORM_SUPPORT: _OPERATE,
    Persona.MODEL_END_USER: frozenset({Action.ENDPOINT_INVOKE}),
    Persona.CICD_PROCESS: _OPERATE | {Action.RELEASE_WRITE},
    Persona.WORKSPACE_PROCESS: _DEVELOP,
    Persona.MONITORING_PROCESS: _READ_OPERATION | {Action.DATA_READ, Action.MONITOR_RUN},
    Persona.GOVERNANCE_PROCESS: _READ_DEVELOPMENT | {Action.AUDIT_READ},
}

_TABLES = {WorkspaceKind.PREPRODUCTION: _PREPRODUCTION, WorkspaceKind.PRODUCTION: _PRODUCTION}

# What the first administrator may do: set the house up. Approving is left out, so that it needs a persona.
ADMIN = frozenset(Action) - {Action.RELEASE_APPROVE}

# The most that the code of a job may do in the name of who submitted it, whatever else they may do themselves: read,
# record runs, register models, add data. Nothing that moves traffic, starts work or decides.
JOB_CODE = _READ_DEVELOPMENT | {
    Action.DATA_WRITE, Action.ENDPOINT_INVOKE, Action.MODEL_WRITE, Action.TRACKING_WRITE,
}  # fmt: skip

# The system's own processes, by name: what each needs and no more.
SERVICES: dict[str, frozenset[Action]] = {
    "service:jobs": _DEVELOP,
    "service:releases": _DEVELOP,
    "service:monitor": _READ_DEVELOPMENT | {Action.MONITOR_RUN, Action.DATA_WRITE},
    "service:automation": _READ_DEVELOPMENT
    | {
        Action.DATA_WRITE,
        Action.ENDPOINT_WRITE,
        Action.JOB_SUBMIT,
        Action.MONITOR_RUN,
        Action.RELEASE_START,
        Action.RULE_READ,
    },
    "service:tracking": frozenset({Action.MODEL_READ, Action.MODEL_WRITE, Action.RELEASE_READ}),
    "service:durable": frozenset(),
    "service:setup": frozenset(Action) - {Action.RELEASE_APPROVE},
}


def allowed_actions(persona: Persona, kind: WorkspaceKind) -> frozenset[Action]:
    return _TABLES[kind][persona]


def limit(
    via: str, only: str | None, action: Action, workspace: str | None, *, shared: bool = False
) -> Decision | None:  # fmt: skip
    """Why a token named ``via``, good for workspace ``only`` (None: all), does not do for this; None when it does."""
    if only is not None and workspace != only and not shared:
        place = f"workspace {workspace}" if workspace else "the whole installation"
        return Decision(False, f"the token '{via}' is for workspace {only} alone, not for {place}")
    if via.startswith("job:") and action not in JOB_CODE:
        return Decision(False, f"this is the code of {via}, and no job may do {action}, whoever submitted it")
    return None


def decide(
    user: str,
    is_admin: bool,
    groups: Iterable[Group],
    action: Action,
    workspace: str | None,
    kind: WorkspaceKind | None,
    *,
    shared: bool = False,
) -> Decision:
    """Whether ``user`` may do ``action``. ``kind`` is None exactly when ``workspace`` is (the installation).

    ``shared``: the workspace is a registry, which groups reach whatever workspaces they are limited to.
    """
    if is_admin and action in ADMIN:
        return Decision(True, f"{user} administers this installation")
    memberships = [group for group in groups if user in group.members]
    for group in memberships:
        if kind is None:
            kinds = set(WorkspaceKind) if not group.workspaces else {WorkspaceKind.PREPRODUCTION}
            if any(action in allowed_actions(group.persona, each) for each in kinds):
                return Decision(True, f"group {group.name} ({group.persona})")
        elif (shared or not group.workspaces or workspace in group.workspaces) and action in allowed_actions(
            group.persona, kind
        ):
            return Decision(True, f"group {group.name} ({group.persona}) in {kind} workspace {workspace}")
    place = f"{kind} workspace {workspace}" if workspace else "this installation"
    holds = ", ".join(f"{group.name} ({group.persona})" for group in memberships) or "no group"
    return Decision(False, f"{user} belongs to {holds}; none allows {action} in {place}")
