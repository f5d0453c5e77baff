"""``doubleloop monitor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import clock, errors
from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Endpoint", "endpoint"),
    output.Column("Deployment", "deployment"),
    output.Column("Signals", "signals", lambda signals: ", ".join(signals or {})),
    output.Column("Enabled", "enabled"),
    output.Column("Last run", "last_run.ended_at", output.when),
    output.Column("Open alerts", "open_alerts"),
)
_METRICS = ("Signal", "Column", "Metric", "Value", "Threshold", "Alert")
_ALERTS = (
    output.Column("Raised", "raised_at", output.when),
    output.Column("Signal", "signal"),
    output.Column("Metric", "metric"),
    output.Column("Columns", "columns"),
    output.Column("Value", "value"),
    output.Column("Threshold", "threshold"),
    output.Column("Window end", "window.end", output.when),
    output.Column("State", "state"),
    output.Column("Resolved", "resolved_at", output.when),
    output.Column("Id", "id"),
)


@click.group("monitor", cls=tree.Verbs)
def GROUP() -> None:
    """Monitors of deployed models: signals and alerts."""


@GROUP.command("create", cls=options.Verb)
@options.file(required=True)
@options.name(required=False)
@options.shared()
def create(session: Session, file: str, sets: tuple[str, ...], name: str | None) -> Any:
    """Keep a monitor and its schedule; an existing one is changed."""
    from doubleloop.cli import files

    document = files.read(session, file, "schedule", options.pairs(sets, "--set"), name=name)
    if document.model.create_monitor is None:
        raise errors.InvalidInput(
            "This schedule starts a job, not a monitor", where=document.where("create_job"),
            cure="Use `doubleloop schedule create`.",
        )  # fmt: skip
    return session.workspace.monitors.put(files.ship(session, document))


@GROUP.command("list", cls=options.Verb)
@options.limit()
@options.shared()
def list_(session: Session, limit: int | None) -> output.Shown:
    """The monitors of the workspace."""
    return output.Shown(session.workspace.monitors.list(limit), _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name()
@options.shared()
def show(session: Session, name: str) -> output.Shown:
    """One monitor and its last run."""
    return output.Shown(session.workspace.monitors.show(name), text=_page)


def _page(found: dict[str, Any]) -> str:
    last = found.get("last_run")
    page = output.fields({key: value for key, value in found.items() if key != "last_run"})
    return page + (f"\nLast run:\n{_run(last)}" if last else "")


def _run(run: dict[str, Any]) -> str:
    head = output.fields({key: value for key, value in run.items() if key not in ("signals", "monitor", "workspace")})
    cells = []
    for signal in run.get("signals") or []:
        metrics = signal.get("metrics") or [{"metric": signal.get("status"), "column": signal.get("reason")}]
        cells += [
            [output.plain(each) for each in (signal["signal"], metric.get("column"), metric.get("metric"),
                                             metric.get("value"), metric.get("threshold"))]
            + ["ALERT" if metric.get("alert") else ""]
            for metric in metrics
        ]  # fmt: skip
    return head + ("\n" + output.rows(_METRICS, cells) if cells else "")


@GROUP.command("run-now", cls=options.Verb)
@options.name()
@click.option("--as-of", metavar="TIME", help="Look back from then (ISO 8601)  [default: now]")
@options.no_wait()
@options.shared()
def run_now(session: Session, name: str, as_of: str | None, no_wait: bool) -> Any:
    """Run a monitor now and show what it found."""
    from doubleloop.cli import follow

    run = session.workspace.monitors.run_now(name, _moment(as_of))
    return run if no_wait else output.Shown(follow.monitor_run(session, name, run["id"]), text=_run)


def _moment(text: str | None) -> str | None:
    try:
        return clock.iso(clock.parse(text)) if text else None
    except ValueError as error:
        raise errors.InvalidInput(
            f"'{text}' is not a time", where=errors.Where("--as-of"), cure="Write 2013-06-01 or 2013-06-01T12:00:00Z."
        ) from error


@GROUP.command("runs", cls=options.Verb)
@options.name()
@options.limit()
@options.shared()
def runs(session: Session, name: str, limit: int | None) -> output.Shown:
    """Its runs, newest first."""
    columns = (
        output.Column("Id", "id"), output.Column("Status", "status"), output.Column("As of", "as_of", output.when),
        output.Column("From", "window.start", output.when), output.Column("To", "window.end", output.when),
        output.Column("Alerts", "signals", lambda signals: str(_alerts(signals))),
    )  # fmt: skip
    return output.Shown(session.workspace.monitors.runs(name, limit or 50), columns)


def _alerts(signals: Any) -> int:
    return sum(bool(metric.get("alert")) for signal in signals or [] for metric in signal.get("metrics") or [])


@GROUP.command("series", cls=options.Verb)
@options.name()
@click.option("--signal", metavar="NAME", help="Of one signal.")
@click.option("--metric", metavar="NAME", help="Of one metric.")
@click.option("--column", metavar="NAME", help="Of one column.")
@options.shared()
def series(session: Session, name: str, signal: str | None, metric: str | None, column: str | None) -> output.Shown:
    """Each metric over time."""
    return output.Shown(session.workspace.monitors.series(name, signal, metric, column), text=_series)


def _series(found: list[dict[str, Any]]) -> str:
    cells = [
        [line["signal"], output.plain(line.get("column")), line["metric"], output.when(end), output.plain(value),
         output.plain(line.get("threshold")), "ALERT" if alert else ""]
        for line in found for end, value, alert in line["points"]
    ]  # fmt: skip
    titles = ("Signal", "Column", "Metric", "Window end", "Value", "Threshold", "Alert")
    return output.rows(titles, cells) if cells else "Nothing there.\n"


@GROUP.command("alerts", cls=options.Verb)
@options.name()
@click.option("--open", "open_", is_flag=True, help="Only those that are not resolved.")
@options.limit()
@options.shared()
def alerts(session: Session, name: str, open_: bool, limit: int | None) -> output.Shown:
    """Its alerts, newest first."""
    return output.Shown(session.workspace.monitors.alerts(name, open_=open_, limit=limit or 50), _ALERTS)


@GROUP.command("delete", cls=options.Verb)
@options.name()
@options.yes()
@options.shared()
def delete(session: Session, name: str, yes: bool) -> None:
    """Delete a monitor and its schedule; what it found is kept."""
    session.confirm(f"Delete monitor {name}?", yes)
    session.workspace.monitors.delete(name)
    session.note(f"Monitor {name} is deleted.")
