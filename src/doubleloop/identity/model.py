"""Users, groups, tokens, sessions, and the answer to 'may they?'."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


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
class Principal:
    """A process that somebody made (``service:ci``): it cannot log in, holds tokens alone, and administers nothing.

    ``owner`` is who answers for it. With a ``workspace`` it acts there (and in registries) and nowhere else.
    """

    name: str
    owner: str
    workspace: str | None
    description: str
    disabled: bool
    created_at: datetime

    @property
    def id(self) -> str:
        return f"service:{self.name}"


@dataclass(frozen=True)
class Group:
    """``workspaces`` empty means every workspace. ``just_in_time``: its members have its persona's rights only while
    they have activated them, which another has to approve where ``needs_approval`` is set. ``notify``: the notification
    target by which its members hear of rights that wait for their approval."""

    name: str
    persona: Persona
    members: tuple[str, ...]
    workspaces: tuple[str, ...]
    just_in_time: bool = False
    needs_approval: bool = False
    notify: str | None = None

    def told(self) -> dict[str, Any]:
        """As facts tell it."""
        return {
            "persona": self.persona.value, "members": sorted(self.members), "workspaces": sorted(self.workspaces),
            "just_in_time": self.just_in_time, "needs_approval": self.needs_approval, "notify": self.notify,
        }  # fmt: skip


@dataclass(frozen=True)
class Assignment:
    """A role for ``principal`` (``user:ada``, ``group:science``, ``service:ci``) at a scope.

    ``kind``: the column it is for, None for all that the role covers. ``workspace`` None is the whole installation;
    ``resource`` is one thing in a workspace (``endpoint/bikes``). ``eligible``: counts only while it is
    activated, as with groups that are just in time.
    """

    id: str
    principal: str
    role: str
    kind: str | None
    workspace: str | None
    resource: str | None
    until: datetime | None
    eligible: bool
    needs_approval: bool
    reason: str
    created_by: str
    created_at: datetime


class ActivationStatus(StrEnum):
    WAITING = "waiting"  # for another's approval
    ACTIVE = "active"
    ENDED = "ended"
    REFUSED = "refused"


@dataclass(frozen=True)
class Activation:
    """Somebody's own use of an eligible assignment (``assignment:ID``) or a just-in-time group (``group:NAME``).

    ``seconds`` is how long it was asked for; ``ends_at`` is set once it began.
    """

    id: str
    user: str
    of: str
    reason: str
    seconds: int
    status: ActivationStatus
    asked_at: datetime
    decided_by: str | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True)
class Asked:
    """What is asked: who (``user`` or ``service`` and a name), what, on what, by which means.

    ``environment`` and ``registry`` describe ``workspace``; both are empty for the installation as a whole. ``only``:
    the one workspace that the means (a token, or the process itself) are good for; ``granted``: the actions that the
    token allows, None for all; ``thing``: the one thing of that workspace that the token is good for.
    """

    principal: str
    action: str
    workspace: str | None = None
    environment: str | None = None
    registry: bool = False
    resource: str | None = None
    only: str | None = None
    job: bool = False
    granted: frozenset[str] | None = None
    thing: str | None = None


class TokenKind(StrEnum):
    TOKEN = "token"
    SESSION = "session"  # a login
    JOB = "job"  # of the code of one step


@dataclass(frozen=True)
class Token:
    """``actions`` are words of ``rules.actions``; they, ``workspace`` and ``resource`` are None for no limit.

    ``last_used_at`` is noted at most once a minute.
    """

    id: str
    user: str
    name: str
    workspace: str | None
    expires_at: datetime | None
    created_at: datetime
    kind: TokenKind = TokenKind.TOKEN
    actions: tuple[str, ...] | None = None
    resource: str | None = None
    created_by: str = ""
    last_used_at: datetime | None = None


@dataclass(frozen=True)
class Login:
    """One that is under way at an OpenID Connect provider. ``state``, ``browser``: hashes of what those hold who began
    it. ``verifier`` is None when they hold that too; ``device_code`` is set for a login by a code that is typed."""

    state: str
    expires_at: datetime
    nonce: str | None
    verifier: str | None
    redirect_uri: str
    next: str
    browser: str | None
    device_code: str | None
    interval: int
    asked_at: datetime | None


@dataclass(frozen=True)
class Decision:
    """``why`` names the assignment that allowed it, or what is missing; ``by`` are the ids of the deciding policies;
    ``personas`` and ``roles`` those that they stand for."""

    allowed: bool
    why: str
    by: tuple[str, ...] = ()
    personas: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
