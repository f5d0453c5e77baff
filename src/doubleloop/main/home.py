"""The home folder: made private, its database migrated, its first administrator and client profile written."""

from __future__ import annotations

from doubleloop.base import actors
from doubleloop.db import engine as engines
from doubleloop.db import migrations
from doubleloop.db.context import Contexts
from doubleloop.events import commands as events
from doubleloop.events import guards
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.identity import ports as identity_ports
from doubleloop.identity import store as users
from doubleloop.main import addresses
from doubleloop.secrets import local as local_secrets
from doubleloop.settings.model import Settings
from doubleloop.vault import choosing as safes
from doubleloop.workspaces import commands as workspaces
from doubleloop.workspaces import model as places
from doubleloop.workspaces import queries as workspace_queries

ADMIN = "admin"
SETUP = actors.service("setup")


def create(settings: Settings) -> None:
    for folder in ("", "run", "logs", "mlflow", "serving", "inference", "runs", "environments"):
        (settings.home / folder).mkdir(parents=True, exist_ok=True)
    settings.home.chmod(0o700)


def prepare(settings: Settings) -> None:
    """Migrate the database and, the first time, make the registry, an administrator and its token.

    This needs one port: to import all that ``wiring`` fills would take several times longer than to do it. Raises
    InvalidInput for settings of secrets that no process would start with.
    """
    safes.safe(settings, local_secrets.FileKeys(settings.home / "secret.key"))
    engine = engines.create(settings.url)
    migrations.upgrade(engine)
    contexts = Contexts(engine, {Settings: settings, identity_ports.WorkspaceKinds: workspace_queries.Kinds()})
    with contexts.write(SETUP) as ctx:
        made = guards.restore(ctx)
        if made:
            events.record(ctx, "audit.guard_restored", "audit:record", triggers=made)
        if not any(user.is_admin for user in users.users(ctx)):
            workspaces.put(
                ctx,
                places.Workspace(
                    places.REGISTRY, identities.WorkspaceKind.PREPRODUCTION, "Shared by all workspaces", True
                ),
            )
            identity.create_user(ctx, ADMIN, "Administrator", is_admin=True)
        secret = ""
        if not (settings.home / "client.json").exists():
            _, secret = identity.create_token(ctx, ADMIN, "first-run")
    if secret:  # written once the token is valid: cut off in between, the next start makes another one
        addresses.write_private(settings.home / "client.json", {"user": ADMIN, "token": secret})
    engine.dispose()
