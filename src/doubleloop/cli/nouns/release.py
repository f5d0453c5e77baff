"""``doubleloop release``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Id", "id"),
    output.Column("Definition", "definition"),
    output.Column("Model", "model_name"),
    output.Column("Version", "model_version"),
    output.Column("Status", "status"),
    output.Column("Stage", "stage"),
    output.Column("Started", "started_at", output.when),
    output.Column("Ended", "ended_at", output.when),
    output.Column("By", "started_by"),
)
_WAITING = (
    output.Column("Release", "release"),
    output.Column("Model", "model_name"),
    output.Column("Version", "model_version"),
    output.Column("Workspace", "workspace"),
    output.Column("Personas", "personas"),
    output.Column("Given", "given", lambda given: str(len(given or []))),
    output.Column("Of", "count"),
    output.Column("Expires", "expires_at", output.when),
    output.Column("You may", "may_decide"),
    output.Column("Why", "why"),
)
_EVIDENCE = (
    output.Column("Check", "check"),
    output.Column("Outcome", "outcome"),
    output.Column("Hash", "hash", output.short),
    output.Column("Reasons", "reasons", lambda reasons: "; ".join(map(str, reasons or []))),
)
_DEFINITIONS = (
    output.Column("Name", "name"),
    output.Column("Model", "model"),
    output.Column("Scenario", "scenario"),
    output.Column("Trigger", "trigger"),
    output.Column("Stages", "stages", lambda stages: " → ".join(str(stage.get("workspace")) for stage in stages or [])),
    output.Column("Changed", "created_at", output.when),
)


@click.group("release", cls=tree.Verbs)
def GROUP() -> None:
    """Releases: from a model version to production."""


@GROUP.command("create", cls=options.Verb)
@options.file(required=True)
@options.shared(workspace=False)
def create(session: Session, file: str, sets: tuple[str, ...]) -> Any:
    """Keep a release definition: what every new version of a model goes through."""
    from doubleloop.cli import files

    document = files.read(session, file, "release", options.pairs(sets, "--set"))
    return session.client.definitions.put(files.ship(session, document))


@GROUP.command("definitions", cls=options.Verb)
@options.shared(workspace=False)
def definitions(session: Session) -> output.Shown:
    """The release definitions."""
    return output.Shown(session.client.definitions.list(), _DEFINITIONS)


@GROUP.command("start", cls=options.Verb)
@options.name("definition's name")
@click.option("-m", "--model-version", metavar="VERSION", help="Version to release  [default: newest]")
@click.option("-s", "--stream", is_flag=True, help="Follow it to its end.")
@options.shared(workspace=False)
def start(session: Session, name: str, model_version: str | None, stream: bool) -> Any:
    """Start a release by hand."""
    from doubleloop.cli import follow

    found = session.client.releases.start(name, model_version)
    session.note(f"Release {found['id']} is {found['status']}.")
    return follow.release(session, found["id"], until_waiting=False) if stream else found


@GROUP.command("list", cls=options.Verb)
@click.option("--definition", metavar="NAME", help="Of one definition.")
@click.option("--model", metavar="NAME", help="Of one model.")
@click.option("--status", metavar="STATUS", help="running, waiting, completed, failed, rejected, ...")
@options.limit()
@options.shared(workspace=False)
def list_(
    session: Session, definition: str | None, model: str | None, status: str | None, limit: int | None
) -> output.Shown:  # fmt: skip
    """Releases, newest first (50 unless -r says otherwise)."""
    found = session.client.releases.list(definition=definition, model=model, status=status, limit=limit or 50)
    return output.Shown(found, _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name("release's id")
@options.shared(workspace=False)
def show(session: Session, name: str) -> output.Shown:
    """One release: its stages, checks and approvals."""
    return output.Shown(session.client.releases.show(name), text=_page)


def _page(found: dict[str, Any]) -> str:
    page = output.fields({key: value for key, value in found.items() if key not in ("stages", "trigger")})
    for stage in found.get("stages") or []:
        page += (
            f"\n{stage['workspace']}: {stage.get('status')}"
            + (f" ({stage['step']})" if stage.get("step") else "")
            + "\n"
        )
        page += output.fields({key: stage.get(key) for key in ("job", "candidate", "deployment", "rollout")}, "  ")
        for check in stage.get("checks") or []:
            reasons = "; ".join(map(str, check.get("reasons") or []))
            page += f"  {check['outcome']:<12} {check['check']}{'  ' + reasons if reasons else ''}\n"
        approval = stage.get("approval")
        if approval:
            page += (
                f"  approval: {approval.get('status')}, {len(approval.get('given') or [])} of {approval.get('count')}\n"
            )
            for each in approval.get("given") or []:
                page += f"    {each['user']} {output.when(each['at'])} {each.get('comment') or ''}".rstrip() + "\n"
    return page


@GROUP.command("evidence", cls=options.Verb)
@options.name("release's id")
@options.shared(workspace=False)
def evidence(session: Session, name: str) -> output.Shown:
    """What its checks found, and the digest that an approval pins."""
    return output.Shown(session.client.releases.evidence(name), text=_evidence)


def _evidence(found: dict[str, Any]) -> str:
    cells = [[column.text(item) for column in _EVIDENCE] for item in found["items"]]
    return output.rows([column.title for column in _EVIDENCE], cells) + f"\nDigest: {found['digest']}\n"


@GROUP.command("waiting", cls=options.Verb)
@options.shared(workspace=False)
def waiting(session: Session) -> output.Shown:
    """Releases that wait for somebody's decision."""
    return output.Shown(session.client.approvals(), _WAITING)


@GROUP.command("approve", cls=options.Verb)
@options.name("release's id")
@click.option("-c", "--comment", metavar="TEXT", help="Why.")
@click.option(
    "--evidence-digest", "digest", metavar="HEX", help="The evidence you looked at  [default: what is shown now]"
)
@click.option(
    "--break-glass", is_flag=True, help="Without the personas asked for; takes two owners, and a reason each."
)
@options.yes()
@options.shared(workspace=False)
def approve(
    session: Session, name: str, comment: str | None, digest: str | None, break_glass: bool, yes: bool
) -> Any:  # fmt: skip
    """Let it go on. Pins the evidence: if that changes first, the approval is refused."""
    pinned = digest or _look(session, name)
    if not digest and sys.stdin.isatty():
        session.confirm("Approve on this evidence?", yes)
    found = session.client.releases.approve(name, pinned, comment, break_glass=break_glass)
    session.note(f"{'You broke the glass' if break_glass else 'Approved'}. Release {name} is {found['status']}.")
    return found


@GROUP.command("reject", cls=options.Verb)
@options.name("release's id")
@click.option("-c", "--comment", metavar="TEXT", required=True, help="Why.")
@click.option(
    "--evidence-digest", "digest", metavar="HEX", help="The evidence you looked at  [default: what is there now]"
)
@options.shared(workspace=False)
def reject(session: Session, name: str, comment: str, digest: str | None) -> Any:
    """End it here; production stays as it is."""
    found = session.client.releases.reject(name, digest or _look(session, name), comment)
    session.note(f"Rejected. Release {name} is {found['status']}.")
    return found


def _look(session: Session, id_: str) -> str:
    """Show the evidence and return its digest, so that what is decided on is what was seen."""
    found = session.client.releases.evidence(id_)
    session.note(_evidence(found))
    return str(found["digest"])


@GROUP.command("cancel", cls=options.Verb)
@options.name("release's id")
@click.option("-c", "--comment", metavar="TEXT", help="Why.")
@options.shared(workspace=False)
def cancel(session: Session, name: str, comment: str | None) -> Any:
    """Stop it; production stays as it is."""
    return session.client.releases.cancel(name, comment)


@GROUP.command("stream", cls=options.Verb)
@options.name("release's id")
@click.option("--until", type=click.Choice(["ended", "waiting"]), default="ended", help="Stop there  [default: ended]")
@options.shared(workspace=False)
def stream(session: Session, name: str, until: str) -> Any:
    """Tell what happens to it; exit 1 unless it completes."""
    from doubleloop.cli import follow

    found = follow.release(session, name, until_waiting=until == "waiting")
    return found if session.machine else None


@GROUP.command("download-evidence", cls=options.Verb)
@options.name("release's id")
@click.option("-p", "--download-path", "target", metavar="FOLDER", default=".", help="Where to  [default: here]")
@options.shared(workspace=False)
def download_evidence(session: Session, name: str, target: str) -> Any:
    """The attachments of its evidence (reports), into FOLDER/CHECK."""
    from pathlib import Path

    fetched = []
    for item in session.client.releases.evidence(name)["items"]:
        for title, reference in (item.get("attachments") or {}).items():
            folder = Path(target) / _file_name(item["check"])
            folder.mkdir(parents=True, exist_ok=True)
            fetched.append(str(session.client.blobs.fetch(reference, folder / _file_name(title))))
    if not fetched:
        raise errors.NotFound(
            f"Release {name} has no reports yet", cure=f"See `doubleloop release evidence -n {name}`."
        )
    return fetched


def _file_name(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in text).lstrip(".") or "_"
