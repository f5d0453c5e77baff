"""``Client``: one server as one user. ``client.workspace("dev").jobs.list()``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from doubleloop.sdk import (
    assets,
    audit,
    automation,
    batch,
    blobs,
    bundles,
    endpoints,
    identities,
    jobs,
    labeling,
    releases,
    routes,
    secrets,
    transport,
)


class Computes(routes.Routes):
    def list(self) -> routes.Bodies:
        return self._list()

    def show(self, name: str) -> routes.Body:
        return dict(self._get(name))


class Datastores(Computes):
    def create(self, document: routes.Body) -> routes.Body:
        return dict(self._post(body={"document": document}, repeatable=True))

    def delete(self, name: str) -> None:
        self._delete(name)


class Workspace:
    """The routes of one workspace, or of the registry."""

    def __init__(self, link: transport.Transport, name: str) -> None:
        base = ("workspaces", name)
        self.name = name
        self.computes = Computes(link, *base, "computes")
        self.datastores = Datastores(link, *base, "datastores")
        self.data = assets.Data(link, *base, "data")
        self.contracts = assets.Contracts(link, *base, "contracts")
        self.environments = assets.Environments(link, *base, "environments")
        self.components = assets.Components(link, *base, "components")
        self.models = assets.Assets(link, *base, "models")
        self.secrets = secrets.Secrets(link, *base, "secrets")
        self.jobs = jobs.Jobs(link, *base, "jobs")
        self.endpoints = endpoints.Endpoints(link, *base, "online-endpoints")
        self.batch_endpoints = batch.BatchEndpoints(link, *base, "batch-endpoints")
        self.schedules = automation.Schedules(link, *base, "schedules")
        self.monitors = automation.Monitors(link, *base, "monitors")
        self.budgets = Computes(link, *base, "budgets")
        self.alerts = automation.Alerts(link, *base, "alerts")
        self.labeling = labeling.Labeling(link, *base, "labeling-projects")
        self.rules = automation.Rules(link, *base, "rules")


class Setup(routes.Routes):
    """``delete_data``: names of workspaces and registries that may be removed with all they hold."""

    def plan(self, document: routes.Body, delete_data: Sequence[str] = ()) -> routes.Body:
        body = {"document": document, **_second_word(delete_data)}
        return dict(self._post("plan", body=body, repeatable=True))

    def apply(self, document: routes.Body, digest: str | None = None, delete_data: Sequence[str] = ()) -> routes.Body:
        body = {"document": document, **routes.given(digest=digest), **_second_word(delete_data)}
        return dict(self._post("apply", body=body))

    def plan_destroy(self, name: str, delete_data: Sequence[str] = ()) -> routes.Body:
        return dict(self._post("destroy", body={"name": name, **_second_word(delete_data)}, repeatable=True))

    def destroy(
        self, name: str, confirm: str, digest: str | None = None, delete_data: Sequence[str] = ()
    ) -> routes.Body:
        """``confirm``: the name again."""
        body = {"name": name, "confirm": confirm, **routes.given(digest=digest), **_second_word(delete_data)}
        return dict(self._post("destroy", body=body))

    def drift(self, name: str | None = None) -> routes.Body:
        """What was changed by hand as ``items``; what no set-up names as ``unmanaged``."""
        return dict(self._get("drift", name=name))


def _second_word(names: Sequence[str]) -> routes.Body:
    return {"delete_data": list(names)} if names else {}


class Access(routes.Routes):
    """Assignments, activations and policies."""

    def assignments(self) -> routes.Bodies:
        return self._list("assignments")

    def assign(self, principal: str, role: str, **fields: Any) -> routes.Body:
        """Fields as in the API: ``kind``, ``workspace``, ``resource``, ``until``, ``eligible``, ..."""
        return dict(self._post("assignments", body={"principal": principal, "role": role, **routes.given(**fields)}))

    def unassign(self, id_: str) -> None:
        self._delete("assignments", id_)

    def activations(self, only_open: bool = False, waiting: bool = False) -> routes.Body:
        """``items`` (``waiting``: those that wait for oneself), as ``eligible`` what one may activate, and as
        ``waiting`` how many wait for one's yes or no."""
        return dict(self._get("activations", only_open=only_open or None, waiting=waiting or None))

    def activate(self, of: str, reason: str, seconds: int) -> routes.Body:
        return dict(self._post("activations", body={"of": of, "reason": reason, "seconds": seconds}))

    def decide(self, id_: str, approve: bool, comment: str = "") -> routes.Body:
        return dict(self._post("activations", id_, "approve" if approve else "refuse", body={"comment": comment}))

    def deactivate(self, id_: str) -> routes.Body:
        return dict(self._post("activations", id_, "end"))

    def policies(self) -> routes.Body:
        """``{"schema", "policies"}``: Cedar."""
        return dict(self._get("policies"))

    def put_policy(self, name: str, text: str) -> None:
        self._put("policies", name, body={"text": text})

    def remove_policy(self, name: str) -> None:
        self._delete("policies", name)


class Client(routes.Routes):
    """``url`` like ``http://127.0.0.1:8600``; without a token only health and login answer.

    Every method raises the error the server answered with (``base.errors``), or Unavailable.
    """

    def __init__(
        self, url: str, token: str = "", *, timeout: float = 60.0, patience: transport.Patience | None = None,
        agent: str = "doubleloop-sdk", reason: str = "",
    ):  # fmt: skip
        self.link = transport.Transport(url, token, timeout=timeout, patience=patience, agent=agent, reason=reason)
        super().__init__(self.link)
        self.blobs = blobs.Blobs(self.link)
        self.bundles = bundles.Bundles(self.link, self.blobs)
        self.users = identities.Users(self.link, "users")
        self.principals = identities.Principals(self.link, "principals")
        self.access = Access(self.link)
        self.audit = audit.Audit(self.link, "audit")
        self.setup = Setup(self.link, "setup")
        self.definitions = releases.Definitions(self.link, "release-definitions")
        self.releases = releases.Releases(self.link, "releases")

    @property
    def url(self) -> str:
        return self.link.url

    def workspace(self, name: str) -> Workspace:
        return Workspace(self.link, name)

    def workspaces(self) -> routes.Bodies:
        return self._list("workspaces")

    def show_workspace(self, name: str) -> routes.Body:
        return dict(self._get("workspaces", name))

    def health(self) -> routes.Body:
        return dict(self._get("health"))

    def login(self, user: str, password: str) -> routes.Body:
        """``{"token", "user", "expires_at"}``. The client itself stays as it was."""
        return dict(self._post("login", body={"user": user, "password": password}))

    def begin_oidc(self, redirect_uri: str, code_challenge: str) -> routes.Body:
        """``{"url", "state", "expires_in", "device"}``: where to send a browser; it comes back to ``redirect_uri``."""
        return dict(self._post("login", "oidc", body={"redirect_uri": redirect_uri, "code_challenge": code_challenge}))

    def finish_oidc(self, state: str, code: str, code_verifier: str) -> routes.Body:
        """As ``login``."""
        body = {"state": state, "code": code, "code_verifier": code_verifier}
        return dict(self._post("login", "oidc", "finish", body=body))

    def begin_device(self) -> routes.Body:
        """``{"state", "user_code", "verification_uri", "verification_uri_complete", "interval", "expires_in"}``."""
        return dict(self._post("login", "oidc", "device"))

    def finish_device(self, state: str) -> routes.Body:
        """As ``login``, or ``{"waiting", "interval"}``."""
        return dict(self._post("login", "oidc", "device", "finish", body={"state": state}))

    def logout(self) -> None:
        self._post("logout")

    def me(self) -> routes.Body:
        return dict(self._get("me"))

    def tokens(self, user: str | None = None) -> routes.Bodies:
        """Without their secrets, of oneself or of ``user`` (``service:NAME`` for a process)."""
        return self._list("tokens", user=user)

    def create_token(self, name: str, **fields: Any) -> routes.Body:
        """``user``, ``workspace``, ``lifetime`` (seconds), ``actions``, ``resource`` as in the API."""
        return dict(self._post("tokens", body={"name": name, **routes.given(**fields)}))

    def revoke_token(self, id_: str) -> None:
        self._delete("tokens", id_)

    def roles(self) -> routes.Body:
        """Groups as ``items``, and what each persona may do as ``personas``."""
        return dict(self._get("roles"))

    def explain(
        self, user: str | None, action: str, workspace: str | None = None, resource: str | None = None
    ) -> routes.Body:
        return dict(self._get("roles", "explain", user=user, action=action, workspace=workspace, resource=resource))

    def trace(self, id_: str) -> routes.Body:
        return dict(self._get("trace", id_))

    def approvals(self) -> routes.Bodies:
        return self._list("approvals")
