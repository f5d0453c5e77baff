"""Bringing a database to this version's tables, and refusing one that a newer version wrote."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from doubleloop.base import errors


def _config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def current(connection: sa.Connection) -> str | None:
    """The revision that the database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: sa.Engine) -> None:
    """Bring the database to the newest revision, in one transaction.

    Raises Conflict when a newer version of Doubleloop wrote it: nothing is changed then.
    """
    with engine.begin() as connection:
        config = _config(connection)
        revision = current(connection)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if revision is not None and revision not in known:
            raise errors.Conflict(
                f"The database ({engine.url.render_as_string(hide_password=True)}) was written by a newer version of "
                f"Doubleloop (revision {revision})",
                cure="Install that version or a later one, or choose another folder with --home.",
            )
        command.upgrade(config, "head")
