"""Alembic's entry: runs the revisions on the connection it was given."""

from alembic import context

from doubleloop.db import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.METADATA,
    transaction_per_migration=False,
    user_module_prefix="tables.",
)
context.run_migrations()
