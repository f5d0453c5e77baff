"""Kinds of resources, roles as sets of actions, and the persona tables: data, read once, and pure questions about it.

The tables are those of Microsoft's MLOps v2 article ("Machine learning operations", role-based access control), cell by
cell; ``choices.csv`` says, a line each, what was chosen where they are silent, and why.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from doubleloop.identity.actions import Action
from doubleloop.identity.model import Persona, WorkspaceKind

_FOLDER = Path(__file__).with_name("tables")


class ResourceKind(StrEnum):
    """The columns of the tables: what they stand for here is said by ``KIND_OF``."""

    WORKSPACE = "workspace"
    SECRETS = "secrets"
    IMAGES = "images"
    STORAGE = "storage"
    DELIVERY = "delivery"
    PACKAGES = "packages"
    LOGS = "logs"
    METRICS = "metrics"


_COLUMNS = {
    "Machine Learning workspace": ResourceKind.WORKSPACE,
    "Key Vault": ResourceKind.SECRETS,
    "Container Registry": ResourceKind.IMAGES,
    "Storage account": ResourceKind.STORAGE,
    "Azure DevOps": ResourceKind.DELIVERY,
    "Azure Artifacts": ResourceKind.PACKAGES,
    "Log Analytics workspace": ResourceKind.LOGS,
    "Azure Monitor": ResourceKind.METRICS,
}
_ROWS = {
    "Data scientist": Persona.DATA_SCIENTIST,
    "Data analyst": Persona.DATA_ANALYST,
    "Model tester": Persona.MODEL_TESTER,
    "Business stakeholders": Persona.BUSINESS_STAKEHOLDER,
    "Project lead (Data science lead)": Persona.PROJECT_LEAD,
    "Project/product owner": Persona.PRODUCT_OWNER,
    "Platform technical support": Persona.PLATFORM_SUPPORT,
    "Model end user": Persona.MODEL_END_USER,
    "CI/CD processes": Persona.CICD_PROCESS,
    "Machine Learning workspace": Persona.WORKSPACE_PROCESS,
    "Monitoring processes": Persona.MONITORING_PROCESS,
    "Data governance processes": Persona.GOVERNANCE_PROCESS,
}

# Every action belongs to exactly one kind of resource, by the word before the dot.
_BY_WORD = {
    "alert": ResourceKind.METRICS, "audit": ResourceKind.LOGS, "compute": ResourceKind.WORKSPACE,
    "data": ResourceKind.WORKSPACE, "endpoint": ResourceKind.WORKSPACE, "environment": ResourceKind.IMAGES,
    "identity": ResourceKind.WORKSPACE, "job": ResourceKind.WORKSPACE,
    "labeling": ResourceKind.WORKSPACE, "log": ResourceKind.LOGS,
    "model": ResourceKind.WORKSPACE, "monitor": ResourceKind.WORKSPACE, "package": ResourceKind.PACKAGES,
    "release": ResourceKind.DELIVERY, "rule": ResourceKind.DELIVERY, "schedule": ResourceKind.WORKSPACE,
    "secret": ResourceKind.SECRETS, "storage": ResourceKind.STORAGE, "tracking": ResourceKind.WORKSPACE,
    "workspace": ResourceKind.WORKSPACE,
}  # fmt: skip
# What monitors measured is Azure Monitor's; which monitors there are is a matter of the workspace.
_MEASURED = (Action.MONITOR_READ, Action.MONITOR_RUN)
KIND_OF: Mapping[Action, ResourceKind] = {
    action: ResourceKind.METRICS if action in _MEASURED else _BY_WORD[action.split(".")[0]] for action in Action
}

# Nobody gets these by a general role: who approves needs to be named as an approver, values of secrets have their own
# administrator, and the record is no log of the system like any other. Only the administrator archives it.
_IDENTITY = frozenset({Action.IDENTITY_READ, Action.IDENTITY_WRITE})
_PEOPLE = frozenset({Action.AUDIT_READ, Action.IDENTITY_READ})
_SECRET_VALUES = frozenset({Action.SECRET_GET, Action.SECRET_WRITE})


def _of(kind: ResourceKind) -> frozenset[Action]:
    return frozenset(action for action in Action if KIND_OF[action] is kind)


def _reader(kind: ResourceKind) -> frozenset[Action]:
    return frozenset(action for action in _of(kind) if action.endswith(".read")) - _PEOPLE


def _owner(kind: ResourceKind) -> frozenset[Action]:
    return _of(kind) - {Action.AUDIT_WRITE, Action.RELEASE_APPROVE} - _SECRET_VALUES


def _contributor(kind: ResourceKind) -> frozenset[Action]:
    return _owner(kind) - {Action.IDENTITY_WRITE}


def _only(kind: ResourceKind, actions: frozenset[Action]) -> dict[ResourceKind, frozenset[Action]]:
    return {kind: actions}


_WORKSPACE = _of(ResourceKind.WORKSPACE)
_DELIVERY = _owner(ResourceKind.DELIVERY)
_COMPUTE = frozenset({Action.COMPUTE_READ, Action.COMPUTE_WRITE})

ROLES: Mapping[str, Mapping[ResourceKind, frozenset[Action]]] = {
    "R": {kind: _reader(kind) for kind in ResourceKind},
    "C": {kind: _contributor(kind) for kind in ResourceKind},
    "O": {kind: _owner(kind) for kind in ResourceKind},
    # Everything in a workspace but its computes, the workspace itself and who may do what (Azure's built-in role).
    "ADS": _only(ResourceKind.WORKSPACE, _WORKSPACE - {Action.COMPUTE_WRITE, Action.WORKSPACE_WRITE} - _IDENTITY),
    "ACO": _only(ResourceKind.WORKSPACE, _COMPUTE | {Action.WORKSPACE_READ}),
    "AcrPush": _only(ResourceKind.IMAGES, _of(ResourceKind.IMAGES)),
    "DOPA": _only(ResourceKind.DELIVERY, _DELIVERY),
    "DOPCA": _only(ResourceKind.DELIVERY, _DELIVERY),
    # What programs print is for readers; the record of what people did is for who may contribute, own or audit.
    "LAR": _only(ResourceKind.LOGS, frozenset({Action.LOG_READ})),
    "LAC": _only(ResourceKind.LOGS, _of(ResourceKind.LOGS) - {Action.AUDIT_WRITE}),
    "MR": _only(ResourceKind.METRICS, _reader(ResourceKind.METRICS)),
    "MC": _only(ResourceKind.METRICS, _of(ResourceKind.METRICS)),
    "KVA": _only(ResourceKind.SECRETS, _of(ResourceKind.SECRETS)),
    "KVR": _only(ResourceKind.SECRETS, _reader(ResourceKind.SECRETS)),
    "APR": _only(ResourceKind.DELIVERY, frozenset({Action.RELEASE_APPROVE, Action.RELEASE_READ})),
    "AUD": _only(ResourceKind.LOGS, frozenset({Action.AUDIT_READ})),
    "EU": _only(ResourceKind.WORKSPACE, frozenset({Action.ENDPOINT_INVOKE})),
    "LAB": _only(ResourceKind.WORKSPACE, frozenset({Action.LABELING_LABEL, Action.LABELING_READ})),
}
NAMES: Mapping[str, str] = {
    **{row["abbreviation"]: row["role"] for row in csv.DictReader((_FOLDER / "rbac_roles.csv").open())},
    "APR": "Release Approver",
    "AUD": "Audit Reader",
    "EU": "Endpoint User",
    "LAB": "Labeler",
}


@dataclass(frozen=True)
class Cell:
    """One role in one cell; ``why`` is empty for what the tables themselves say."""

    persona: Persona
    environment: WorkspaceKind
    kind: ResourceKind
    role: str
    why: str = ""


def actions(role: str, kind: ResourceKind | None = None) -> frozenset[Action]:
    """What a role may do on a kind of resource (default: on all). Raises KeyError for a role nobody knows."""
    kinds = ROLES[role]
    return frozenset().union(*kinds.values()) if kind is None else kinds.get(kind, frozenset())


@cache
def cells() -> tuple[Cell, ...]:
    """Every role of both tables and of the choices, in their order."""
    return tuple(
        [cell for environment in WorkspaceKind for cell in _table(environment)]
        + [
            Cell(
                Persona(row["persona"]), WorkspaceKind(row["environment"]), ResourceKind(row["resource"]), row["role"],
                row["why"],
            )
            for row in csv.DictReader((_FOLDER / "choices.csv").open())
        ]
    )  # fmt: skip


def _table(environment: WorkspaceKind) -> list[Cell]:
    with (_FOLDER / f"rbac_{environment.value}.csv").open() as file:
        return [
            Cell(_ROWS[row["Persona"]], environment, kind, role.strip())
            for row in csv.DictReader(file)
            for column, kind in _COLUMNS.items()
            for role in row[column].split(",")
            if role.strip()
        ]


@cache
def of_persona(persona: Persona, environment: WorkspaceKind) -> tuple[Cell, ...]:
    return tuple(cell for cell in cells() if (cell.persona, cell.environment) == (persona, environment))


@cache
def allowed_actions(persona: Persona, environment: WorkspaceKind) -> frozenset[Action]:
    """What the default assignments of a persona add up to in a workspace of that kind."""
    return frozenset().union(*(actions(cell.role, cell.kind) for cell in of_persona(persona, environment)))


@cache
def everywhere(persona: Persona) -> frozenset[Action]:
    """What a persona may do to the installation as a whole: no more than it may in either kind of workspace."""
    found = [allowed_actions(persona, each) for each in WorkspaceKind]
    return frozenset.intersection(*found)


@cache
def just_in_time(persona: Persona) -> bool:
    """Whether the article gives the persona its access only when it is asked for (PIM)."""
    with (_FOLDER / "rbac_personas.csv").open() as file:
        return any(
            _ROWS[row["table_name"]] is persona and row["access_duration"].startswith("just-in-time")
            for row in csv.DictReader(file)
        )
