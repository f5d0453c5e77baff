"""Users, groups, tokens, sessions, and the answer to 'may they?'."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Persona(StrEnum):
    """The article's personas, people first, then processes."""

    DATA_SCIENTIST = "data_scientist"
    DATA_ANALYST = "data_analyst"
    MODEL_TESTER = "model_tester"
    BUSINESS_STAKEHOLDER = "business_stakeholder"
    PROJECT_LEAD = "project_lead"
    PRODUCT_OWNER = "product_owner"
    PLATFORM_SUPPORT = "platform_support"
    MODEL_END_USER = "model_end_user"
    CICD_PROCESS = "cicd_process"
    WORKSPACE_PROCESS = "workspace_process"
    MONITORING_PROCESS = "monitoring_process"
    GOVERNANCE_PROCESS = "governance_process"


class WorkspaceKind(StrEnum):
    PREPRODUCTION = "preproduction"
    PRODUCTION = "production"


@dataclass(frozen=True)
class User:
    """``is_admin`` is the first-run administrator: may set up the installation, and approve nothing by it."""

    name: str
    display_name: str
    is_admin: bool
    disabled: bool
    created_at: datetime


@dataclass(frozen=True)
class Group:
    """``workspaces`` empty means every workspace."""

    name: str
    persona: Persona
    members: tuple[str, ...]
    workspaces: tuple[str, ...]


@dataclass(frozen=True)
class Token:
    id: str
    user: str
    name: str
    workspace: str | None
    expires_at: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class Decision:
    """``why`` names the group that allowed it, or what is missing."""

    allowed: bool
    why: str
