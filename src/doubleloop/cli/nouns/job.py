"""``doubleloop job``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Name", "id"),
    output.Column("Display name", "display_name"),
    output.Column("Kind", "kind"),
    output.Column("Status", "status"),
    output.Column("Experiment", "experiment"),
    output.Column("Started", "started_at", output.when),
    output.Column("Ended", "ended_at", output.when),
    output.Column("By", "created_by"),
)
# What of a job its submitter may still change, and what the API calls it.
_SEEN = {
    "display_name": "display_name", "description": "description", "experiment_name": "experiment", "tags": "tags",
}  # fmt: skip
# Names that everybody knows: this machine.
_COMPUTES = {"local", "serverless"}
_STEPS = (
    output.Column("Step", "name"),
    output.Column("Status", "status"),
    output.Column("Attempt", "attempt"),
    output.Column("Reused from", "reused_from"),
    output.Column("Exit", "exit_code"),
    output.Column("Started", "started_at", output.when),
    output.Column("Ended", "ended_at", output.when),
    output.Column("Reason", "reason"),
)


@click.group("job", cls=tree.Verbs)
def GROUP() -> None:
    """Command and pipeline jobs."""


@GROUP.command("create", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("-e", "--experiment-name", "experiment", metavar="NAME", help="Experiment of the run.")
@click.option("--force-rerun", is_flag=True, help="Run every step, also where an equal one has completed before.")
@click.option("-s", "--stream", is_flag=True, help="Show the logs until it ends; exit 1 when it fails.")
@click.option("--web", is_flag=True, help="Open the job's page.")
@options.shared()
def create(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, experiment: str | None,
    force_rerun: bool, stream: bool, web: bool,
) -> Any:  # fmt: skip
    """Submit a job."""
    from doubleloop.cli import files, follow

    document = files.read(session, file, "job", options.pairs(sets, "--set"), name=name)
    id_ = getattr(document.model, "name", None)
    if id_:
        _is_free(session, id_)
    found = session.workspace.jobs.submit(
        files.ship(session, document), id_=id_, experiment=experiment, force_rerun=force_rerun or None
    )
    _tell_computes(session, document)
    session.note(f"Job {found['id']} is {found['status']}. Its log: `doubleloop job stream -n {found['id']}`.")
    if web:
        _open(session, found)
    return follow.job(session, found["id"]) if stream else found


def _is_free(session: Session, id_: str) -> None:
    """A name that was chosen by hand must be new: the server would answer with the job that has it."""
    try:
        session.workspace.jobs.show(id_)
    except errors.NotFound:
        return
    raise errors.Conflict(f"There is a job {id_} already", cure="Leave the name out, or choose another.")


def _tell_computes(session: Session, document: Any) -> None:
    """Say of computes that nobody has declared what they stand for: a mistyped name would otherwise go unseen."""
    from doubleloop.specs import fields

    written = (each.value for each in fields.walk(document.model) if each.name in ("compute", "default_compute"))
    names = {each.removeprefix("azureml:") for each in written if isinstance(each, str) and "${{" not in each}
    if not names - _COMPUTES:
        return
    try:
        declared = {str(each["name"]) for each in session.workspace.computes.list()}
    except errors.DoubleloopError:
        return  # who may submit need not be allowed to look
    for name in sorted(names - _COMPUTES - declared):
        known = f" Declared: {', '.join(sorted(declared - _COMPUTES))}." if declared - _COMPUTES else ""
        session.note(f"note: the compute '{name}' is declared nowhere and stands for this machine.{known}")


def _open(session: Session, found: dict[str, Any]) -> None:
    import webbrowser

    address = output.at(found, "services.Studio.endpoint") or f"{session.client.url}/jobs/{found['id']}"
    session.note(f"Its page: {address}")
    webbrowser.open(address)


@GROUP.command("list", cls=options.Verb)
@click.option("--status", metavar="STATUS", help="queued, running, completed, failed or cancelled.")
@click.option("-e", "--experiment-name", "experiment", metavar="NAME", help="Of one experiment.")
@click.option("--created-by", metavar="USER", help="Of one user.")
@click.option("-p", "--parent-job-name", "parent", metavar="NAME", help="The steps of one job.")
@click.option("--include-archived", is_flag=True, help="Archived ones too.")
@click.option("--archived-only", is_flag=True, help="Archived ones alone.")
@options.limit()
@options.shared()
def list_(
    session: Session, status: str | None, experiment: str | None, created_by: str | None, parent: str | None,
    include_archived: bool, archived_only: bool, limit: int | None,
) -> output.Shown:  # fmt: skip
    """Jobs, newest first (50 unless -r says otherwise); with -p the steps of one."""
    if parent is not None:
        steps = [{**each, "parent_job_name": parent} for each in session.workspace.jobs.steps(parent)]
        return output.Shown(steps[:limit], _STEPS)
    found = session.workspace.jobs.list(
        status=status.lower() if status else None, experiment=experiment, created_by=created_by,
        archived="only" if archived_only else "yes" if include_archived else None, limit=limit or 50,
    )  # fmt: skip
    return output.Shown(found, _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name()
@click.option("--web", is_flag=True, help="Open the job's page.")
@options.shared()
def show(session: Session, name: str, web: bool) -> output.Shown:
    """One job and its steps."""
    found = session.workspace.jobs.show(name)
    found["steps"] = session.workspace.jobs.steps(name)
    if web:
        _open(session, found)
    return output.Shown(found, text=_page)


def _page(found: dict[str, Any]) -> str:
    steps = found.get("steps") or []
    page = output.fields({key: value for key, value in found.items() if key not in ("steps", "services", "name")})
    cells = [[column.text(step) for column in _STEPS] for step in steps]
    return page + ("\n" + output.rows([column.title for column in _STEPS], cells) if steps else "")


@GROUP.command("stream", cls=options.Verb)
@options.name()
@options.shared()
def stream(session: Session, name: str) -> Any:
    """Show the logs until the job ends; exit 1 when it failed."""
    from doubleloop.cli import follow

    found = follow.job(session, name)
    return found if session.machine else None


@GROUP.command("cancel", cls=options.Verb)
@options.name()
@options.shared()
def cancel(session: Session, name: str) -> Any:
    """Stop a job: its processes end, its finished steps stay."""
    return session.workspace.jobs.cancel(name)


@GROUP.command("retry", cls=options.Verb)
@options.name()
@click.option("-s", "--stream", is_flag=True, help="Show the logs until it ends.")
@options.shared()
def retry(session: Session, name: str, stream: bool) -> Any:
    """Run its failed, cancelled and skipped steps again; what is completed stays."""
    from doubleloop.cli import follow

    found = session.workspace.jobs.retry(name)
    session.note(f"Job {found['id']} is {found['status']}.")
    return follow.job(session, found["id"]) if stream else found


@GROUP.command("update", cls=options.Verb)
@options.name()
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="display_name, description, tags.KEY, …")
@click.option("--web", is_flag=True, help="Open the job's page.")
@options.shared()
def update(session: Session, name: str, sets: tuple[str, ...], web: bool) -> Any:
    """Change what people see of a job: display_name, description, experiment_name, tags."""
    found = session.workspace.jobs.update(name, **_changes(session, name, options.pairs(sets, "--set")))
    if web:
        _open(session, found)
    return found


def _changes(session: Session, name: str, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    from doubleloop.specs import pointers, sources

    found = session.workspace.jobs.show(name)
    data: dict[str, Any] = {key: found[field] for key, field in _SEEN.items()}
    data["tags"] = dict(data["tags"])
    for path, text in pairs:
        at = pointers.split(path)
        if not at or at[0] not in data or (len(at) == 2) != (at[0] == "tags"):
            raise errors.InvalidInput(
                f"'{path}' of a job that was submitted cannot be changed",
                where=errors.Where(f"--set {path}={text}"), cure=f"What can: {', '.join(_SEEN)}.KEY.",
            )  # fmt: skip
        pointers.put(data, at, sources.value(text))
    if not pairs:
        raise errors.InvalidInput("There is nothing to change", cure="Give --set display_name=TEXT.")
    data["tags"] = {key: str(value) for key, value in dict(data["tags"]).items() if value is not None}
    changed = {_SEEN[key]: value if key == "tags" else str(value) for key, value in data.items()}
    return {key: value for key, value in changed.items() if value != found[key]}


@GROUP.command("archive", cls=options.Verb)
@options.name()
@options.shared()
def archive(session: Session, name: str) -> Any:
    """Leave a job out of listings; it and what it made stay."""
    return session.workspace.jobs.archive(name)


@GROUP.command("restore", cls=options.Verb)
@options.name()
@options.shared()
def restore(session: Session, name: str) -> Any:
    """Undo archive."""
    return session.workspace.jobs.restore(name)


@GROUP.command("download", cls=options.Verb)
@options.name()
@click.option("--output-name", metavar="NAME", help="One output  [default: the job's own folder]")
@click.option("--all", "everything", is_flag=True, help="Every output.")
@click.option("-p", "--download-path", "target", metavar="FOLDER", default=".", help="Where to  [default: here]")
@options.shared()
def download(session: Session, name: str, output_name: str | None, everything: bool, target: str) -> Any:
    """Outputs, into FOLDER/named-outputs/NAME; the job's (or each step's) own folder and log into FOLDER/artifacts."""
    from doubleloop.sdk import outputs

    routes = session.workspace.jobs
    found = outputs.addresses(routes, name)
    fetched = {}
    for each in outputs.choose(found, name, output_name, everything):
        telling = session.progress.bytes(f"Downloading {each}:")
        fetched[each] = str(outputs.fetch(routes, session.client.blobs, name, found, each, Path(target), telling))
    return fetched


@GROUP.command("validate", cls=options.Verb)
@options.file(required=True)
@options.shared()
def validate(session: Session, file: str, sets: tuple[str, ...]) -> output.Shown:
    """Check a job without running it: the file here, then on the server. What it points at is uploaded."""
    from doubleloop.cli import files

    document = files.read(session, file, "job", options.pairs(sets, "--set"))
    found = session.workspace.jobs.validate(files.ship(session, document))
    if not found["ok"]:
        first = errors.from_dict({"error": {"code": "invalid_input", **found["problems"][0]}})
        for each in found["problems"][1:]:
            session.note(f"also: {each.get('message')}")
        raise first
    return output.Shown(found, text=lambda value: "\n".join(["The job can run. Its steps:", *_order(value["steps"])]))


def _order(steps: list[dict[str, Any]]) -> list[str]:
    return [
        f"  {step['name']}" + (f" (after {', '.join(step['needs'])})" if step.get("needs") else "") for step in steps
    ]
