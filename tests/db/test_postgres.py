"""The same installation on a real Postgres: its tables, its record, and what is found when that is meddled with."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import postgres_cluster
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from test_migrations import every_table

sys.path.append(str(Path(__file__).parents[1] / "api"))

from api_server import inhabit, serve

from doubleloop import wiring
from doubleloop.base import actors
from doubleloop.data import commands as data
from doubleloop.db import changes, migrations
from doubleloop.db import engine as engines
from doubleloop.db.context import Contexts
from doubleloop.durable import commands as durable
from doubleloop.events import archives, checkpoints, commands, guards, model, queries
from doubleloop.identity import commands as identity
from doubleloop.identity import model as identities
from doubleloop.labeling import commands as labeling
from doubleloop.labeling import queries as projects
from doubleloop.main import home as homes
from doubleloop.monitoring import alerts
from doubleloop.monitoring import commands as monitoring
from doubleloop.monitoring import queries as monitors
from doubleloop.monitoring import workflows as watching
from doubleloop.settings.model import Settings
from doubleloop.specs import documents
from doubleloop.storage import ports as storage
from doubleloop.workspaces import commands as workspaces
from doubleloop.workspaces import model as places

SETUP = actors.service("setup")


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    postgres_cluster.needed,
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[postgres_cluster.Cluster]:
    with postgres_cluster.running() as made:
        yield made


@pytest.fixture
def url(cluster: postgres_cluster.Cluster, request: pytest.FixtureRequest) -> str:
    """A database for each test."""
    return cluster.create(f"t{abs(hash(request.node.nodeid))}")


def test_every_migration_up_and_down_and_the_tables_are_those_that_the_rooms_declare(url: str) -> None:
    db, wanted = engines.create(url), every_table()
    for _ in range(2):
        migrations.upgrade(db)
        with db.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": wanted})
            assert compare_metadata(context, wanted) == []
        with db.begin() as connection:
            command.downgrade(migrations._config(connection), "base")
        assert set(sa.inspect(db).get_table_names()) <= {"alembic_version"}
    db.dispose()


@pytest.fixture
def site(url: str, tmp_path: Path) -> Iterator[Contexts]:
    """A home whose first start has made its administrator, with people and workspaces."""
    settings = Settings(home=tmp_path / "home", database_url=url)
    homes.create(settings)
    for _ in range(2):
        homes.prepare(settings)
    made = wiring.contexts(settings)
    with made.write(SETUP) as ctx:
        for name, kind in (("dev", "preproduction"), ("prod", "production")):
            workspaces.put(ctx, places.Workspace(name, identities.WorkspaceKind(kind), "", False))
        identity.create_user(ctx, "ada")
        identity.put_group(ctx, identities.Group("science", identities.Persona.DATA_SCIENTIST, ("ada",), ()))
    yield made
    made.engine.dispose()


def verify(site: Contexts) -> model.ChainReport:
    with site.read(SETUP) as ctx:
        return queries.verify(ctx)


def meddled(site: Contexts, *statements: str) -> model.ChainReport:
    """What is found when who owns the database does this, with the triggers out of the way; it is taken back then."""
    found = []
    with pytest.raises(_Undone), site.write(SETUP) as ctx:
        for table in ("facts", "fact_chain"):
            ctx.tx.exec_driver_sql(f"alter table {table} disable trigger all")
        for statement in statements:
            assert ctx.tx.exec_driver_sql(statement).rowcount > 0, statement
        found.append(queries.verify(ctx))
        raise _Undone
    return found[0]


class _Undone(Exception): ...


MONITOR = """
name: watch
trigger: {type: recurrence, frequency: day, interval: 1}
create_monitor:
  alert_policy: {windows: 1, of: 2}
  monitoring_signals: {machine: {type: compute_health}}
"""


def _soon(looking: changes.Changes) -> bool:
    """Postgres tells it right after the commit, not before the commit returns."""
    return any(looking.due() or threading.Event().wait(0.01) for _ in range(1_000))


def test_a_look_is_due_when_facts_and_intents_are_written_and_only_then(site: Contexts) -> None:
    looking = changes.Changes(site.engine, 3600)
    assert looking.due(), "the first look"
    assert not looking.due()
    with site.write(SETUP) as ctx:
        commands.record(ctx, "thing.happened", "thing:1")
        assert not looking.due(), "nothing is committed yet"
    assert _soon(looking) and not looking.due()
    with site.write(SETUP) as ctx:
        durable.signal(ctx, "nobody", "topic", {})
    assert _soon(looking) and not looking.due()
    with site.engine.connect() as tx:
        tx.exec_driver_sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = "
            "current_database()"
        )
    assert _soon(looking), "it hears nothing any more, so one looks"
    looking.due()
    with site.write(SETUP) as ctx:
        commands.record(ctx, "thing.happened", "thing:2")
    assert _soon(looking) and not looking.due(), "and it listens again over another connection"
    looking.close()


def test_runs_of_a_monitor_that_end_at_once_open_one_alert(site: Contexts) -> None:
    metric = {
        "metric": "memory_utilization",
        "column": "",
        "value": 0.99,
        "threshold": 0.9,
        "alert": True,
        "reason": "",
    }
    found = {"signal": "machine", "type": "compute_health", "status": "alert", "reason": "", "reference_rows": 0,
             "production_rows": 0, "metrics": [metric], "moved": []}  # fmt: skip
    with site.write(SETUP, "prod") as ctx:
        monitoring.put(ctx, documents.parse(MONITOR, "m.yml", "/", kind="schedule"))
        runs = [monitoring.run_now(ctx, "watch").id for _ in range(4)]
    wrong: list[Any] = []

    def end(run: str) -> None:
        try:
            watching.record(site, run, {"signals": [found], "sample": {"at": run}})
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=end, args=(run,)) for run in runs]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert wrong == []
    with site.write(SETUP, "prod") as ctx:
        (alert,) = monitors.alerts(ctx)
        alerts.silence(ctx, alert.id, length=timedelta(hours=1))
        assert alerts.resolve(ctx, alert.id).state == "resolved"
        assert len(queries.facts(ctx, types=["monitor.alert"])) == 1


LABELING = """
name: mails
task: text_classification
labels: [spam, ham]
data: azureml:mails:1
column: text
output: mails-labelled
"""


def test_people_who_ask_at_once_are_handed_an_item_each(site: Contexts) -> None:
    people = [f"annotator{number}" for number in range(6)]
    content = "text\n" + "".join(f"mail {number}\n" for number in range(6))
    reference = data.store_bytes(site.port(storage.Blobs), "mails.csv", content.encode())
    with site.write(SETUP) as ctx:
        for name in people:
            identity.create_user(ctx, name)
        identity.put_group(ctx, identities.Group("asked", identities.Persona.DATA_SCIENTIST, tuple(people), ()))
    with site.write(actors.Actor("ada"), "dev") as ctx:
        data.add_version(ctx, "mails", reference, "uri_file")
    document = documents.parse(LABELING, "mails.yml", "/", kind="labeling")
    labeling.create(site, actors.Actor("ada"), "dev", document)
    handed: list[Any] = []

    def ask(user: str) -> None:
        try:
            with site.write(actors.Actor(user), "dev") as ctx:
                item = labeling.next_item(ctx, "mails")
            with site.write(actors.Actor(user), "dev") as ctx:
                labeling.label(ctx, "mails", item.number, "ham")  # type: ignore[union-attr]
            handed.append(item.number)  # type: ignore[union-attr]
        except Exception as error:
            handed.append(error)

    threads = [threading.Thread(target=ask, args=(name,)) for name in people]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert sorted(handed) == [1, 2, 3, 4, 5, 6]
    with site.read(actors.Actor("ada"), "dev") as ctx:
        found = projects.progress(ctx, "mails")
        assert (found.states, found.labels) == ({"labelled": 6}, {"ham": 6})
        assert projects.get(ctx, "mails").status == "reviewed"
    with site.write(actors.Actor("annotator0"), "dev") as ctx:
        assert labeling.next_item(ctx, "mails") is None and labeling.undo(ctx, "mails").state == "queued"


def test_two_at_once_make_one_chain_and_who_looks_meanwhile_finds_it_whole(site: Contexts) -> None:
    before = verify(site).facts
    wrong: list[Any] = []

    def work(name: str) -> None:
        try:
            for number in range(25):
                with site.write(actors.Actor("ada"), "dev") as ctx:
                    commands.record(ctx, "thing.made", f"thing:{name}-{number}", share=0.1, names=["ß", None])
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        report = verify(site)
        assert report.whole, report.why
    for thread in threads:
        thread.join()
    assert wrong == []
    report = verify(site)
    assert (report.whole, report.facts) == (True, before + 50)
    with pytest.raises(ZeroDivisionError), site.write(SETUP) as ctx:
        commands.record(ctx, "thing.made", "thing:never")
        raise ZeroDivisionError
    assert verify(site).facts == before + 50


EDITS = (
    "update facts set actor = 'eve' where seq = 3",
    "delete from facts where seq = 3",
    "delete from facts where seq = (select max(seq) from facts)",
    "update facts set seq = seq + 1000 where seq = 2",
    "update fact_chain set seq = seq - 1",
)


def test_what_was_edited_removed_or_moved_is_found(site: Contexts) -> None:
    for statement in EDITS:
        if "fact_chain" not in statement:
            with pytest.raises(sa.exc.DatabaseError, match="append-only"), site.engine.begin() as connection:
                connection.exec_driver_sql(statement)
        assert not meddled(site, statement).whole, statement
        assert verify(site).whole


def test_signed_checkpoints_miss_an_end_and_triggers_that_were_taken_away_are_made_again(site: Contexts) -> None:
    with pytest.raises(sa.exc.DatabaseError, match="append-only"), site.engine.begin() as connection:
        connection.exec_driver_sql("truncate facts")
    assert checkpoints.keep(site, SETUP) is not None
    assert verify(site).guarded
    for statement in (
        "alter table facts disable trigger facts_no_update", "drop trigger gate_evidence_no_delete on gate_evidence",
        "create or replace function doubleloop_refuse() returns trigger language plpgsql as "
        "$$ begin return new; end $$",
        "drop trigger facts_no_truncate on facts",
    ):  # fmt: skip
        with site.engine.begin() as connection:
            connection.exec_driver_sql(statement)
        assert not verify(site).guarded
        with site.write(SETUP) as ctx:
            assert len(guards.restore(ctx)) == 1
        assert verify(site).guarded
    cut = verify(site).facts - 2
    report = meddled(
        site, f"delete from facts where seq > {cut}",
        f"update fact_chain set seq = {cut}, hash = (select hash from facts where seq = {cut})",
    )  # fmt: skip
    assert not report.whole and "the end is gone" in report.why


def test_old_facts_leave_for_an_archive_and_the_chain_goes_on(site: Contexts) -> None:
    with site.write(actors.service("automation")) as ctx:
        commands.advance(ctx, "automation", queries.head(ctx)[0])
    later = Contexts(site.engine, site.ports, lambda: site.now() + timedelta(days=400))
    made = archives.archive(later, SETUP, site.now() + timedelta(seconds=1))
    assert made is not None and made.first == 1
    report = verify(site)
    assert report.whole and report.archived == made.seq, report.why


def test_one_of_everything_is_made_and_read_over_http(site: Contexts, tmp_path: Path) -> None:
    settings: Settings = site.ports[Settings]
    with site.write(SETUP) as ctx:
        tokens = {"admin": identity.create_token(ctx, "admin", "test")[1]}
    with serve(settings, tokens) as served:
        made = inhabit(served)
        admin = served.as_("admin")
        for path in (
            "jobs",
            "data",
            "online-endpoints",
            "monitors",
            "rules",
            "schedules",
            "secrets",
            "batch-endpoints",
        ):
            assert admin.get(f"/api/v1/workspaces/dev/{path}").json()["items"], path
        for path in (
            "releases",
            "audit?limit=5",
            "audit?action=job.submit",
            "bundles",
            "users",
            "roles",
            "activations",
        ):
            assert admin.get(f"/api/v1/{path}").json()["items"] is not None, path
        assert admin.get(f"/api/v1/trace/{made['id']}").status_code == 200
    assert verify(site).whole
