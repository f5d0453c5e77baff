"""``doubleloop audit``."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Seq", "seq"),
    output.Column("At", "at", output.when),
    output.Column("Actor", "actor"),
    output.Column("As", "context.roles", lambda roles: ", ".join(roles or [])),
    output.Column("Type", "type"),
    output.Column("Workspace", "workspace"),
    output.Column("Subject", "subject"),
    output.Column("Hash", "hash", output.short),
)


@click.group("audit", cls=tree.Verbs)
def GROUP() -> None:
    """The record of everything, and proof that it is whole."""


def _filters(function: Callable[..., Any]) -> Callable[..., Any]:
    """What narrows the record; the function gets it as ``asked``."""
    added = [
        click.option("--type", "type_", multiple=True, metavar="TYPE", help="Such as release.approved, or secret.*"),
        click.option("--subject", metavar="ID", help="About one thing, or about all that begin so (endpoint:prod/*)."),
        click.option("--actor", metavar="NAME", help="By one user or process."),
        click.option("--action", metavar="ACTION", help="By the right that was used or missing: secret.get."),
        click.option("--outcome", type=click.Choice(["done", "refused"]), help="What was done, or what was refused."),
        click.option("--since", metavar="TIME", help="From a time (2026-11-22T08:00:00Z) or a while ago (7d) on."),
        click.option("--until", metavar="TIME", help="Before a time, or until a while ago."),
    ]

    @functools.wraps(function)
    def run(session: Session, **given: Any) -> Any:
        names = ("subject", "actor", "action", "outcome")
        asked = {name: given.pop(name) for name in names}
        asked |= {"type": list(given.pop("type_")) or None}
        asked |= {name: _moment(given.pop(name), f"--{name}") for name in ("since", "until")}
        asked["workspace"] = session.flags.registry_name or session.flags.workspace
        return function(session, asked=asked, **given)

    for option in reversed(added):
        run = option(run)
    return run


def _moment(text: str | None, flag: str) -> str | None:
    from doubleloop.base import clock

    if text is None:
        return None
    try:
        return clock.iso(clock.now() - clock.duration(text))
    except (ValueError, OverflowError):
        pass
    try:
        return clock.iso(clock.parse(text))
    except (ValueError, OverflowError):
        cure = "Write 2026-11-22T08:00:00Z, 2026-11-22, or a duration such as 7d."
        raise errors.InvalidInput(f"'{text}' is not a time", where=errors.Where(flag), cure=cure) from None


@GROUP.command("list", cls=options.Verb)
@options.limit()
@options.shared()
@_filters
def list_(session: Session, asked: dict[str, Any], limit: int | None) -> output.Shown:
    """What happened, newest first (50 unless -r says otherwise)."""
    return output.Shown(session.client.audit.list(limit=limit or 50, **asked), _COLUMNS)


@GROUP.command("export", cls=options.Verb)
@click.option("--format", "format_", type=click.Choice(["jsonl", "csv"]), help="[default: jsonl, or the file's ending]")
@click.option("--to", metavar="FILE", help="File to write  [default: standard output]")
@options.shared()
@_filters
def export(session: Session, asked: dict[str, Any], format_: str | None, to: str | None) -> None:
    """The record as JSON lines that `audit verify --file` proves anywhere, or as CSV for people. Oldest first."""
    chosen = format_ or ("csv" if to and to.lower().endswith(".csv") else "jsonl")
    pieces = session.client.audit.export(chosen, **asked)
    if to is None or to == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        return
    _write(Path(to), pieces)
    session.note(f"Written to {to}." + (f" Proof: `doubleloop audit verify --file {to}`." if chosen == "jsonl" else ""))


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    """The whole file or none, for its owner's eyes."""
    import os
    import secrets

    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for piece in pieces:
                file.write(piece)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@GROUP.command("head", cls=options.Verb)
@options.shared(workspace=False)
def head(session: Session) -> Any:
    """Number and seal of the newest fact; `audit checkpoint` signs them."""
    return session.client.audit.head()


@GROUP.command("key", cls=options.Verb)
@options.shared(workspace=False)
def key(session: Session) -> Any:
    """The public key that checkpoints and exports are signed by: give it to those who are to prove them."""
    return session.client.audit.key()


@GROUP.command("checkpoint", cls=options.Verb)
@click.option("--to", metavar="FILE", help="File to append it to, on another machine or medium.")
@options.shared(workspace=False)
def checkpoint(session: Session, to: str | None) -> Any:
    """Sign the newest fact. Kept elsewhere, it shows later that nobody cut off or rewrote what came before."""
    import json

    made = session.client.audit.checkpoint()
    if to is not None:
        with Path(to).open("a", encoding="utf-8") as file:
            file.write(json.dumps(made, sort_keys=True) + "\n")
        session.note(f"Appended to {to}.")
    return made


@GROUP.command("verify", cls=options.Verb)
@click.option("--checkpoint", "kept", multiple=True, metavar="FILE", help="Checkpoints that were kept elsewhere.")
@click.option("--file", "-f", "file", metavar="FILE", help="Prove an export or an archive; needs no server.")
@click.option("--key", "public", metavar="KEY", help="Public key that must have signed (see `audit key`).")
@options.shared(workspace=False)
def verify(session: Session, kept: tuple[str, ...], file: str | None, public: str | None) -> Any:
    """Recompute every seal and check every signature; exit 1 when the record was changed."""
    from doubleloop.base import exports, record

    given = [each for path in kept for each in record.checkpoints(_text(path), path)]
    expected = exports.key(public) if public else None
    for each in given:
        if not each.genuine() or expected not in (None, each.public):
            raise errors.Failed(f"The checkpoint at fact {each.seq} is not signed by the key it should be")
    if file is not None:
        return _of_file(Path(file), expected, given)
    if expected and session.client.audit.key()["public"] != expected:
        raise errors.Failed("The server signs with another key than the one that was given")
    found = session.client.audit.verify([each.to_dict() for each in given])
    if not found["whole"]:
        raise errors.Failed(
            f"The record does not hold from fact {found['broken_at']} on: {found['why']}",
            cure="Compare with a backup; what follows that fact proves nothing.",
        )
    if not found["guarded"]:
        session.note("The database does not refuse changes of the record any more: start the server again.")
    return output.Shown(found, text=_summary)


def _summary(found: dict[str, Any]) -> str:
    lines = [f"Whole: {found['facts']} facts, head {found['head']}"]
    if found["archived"]:
        lines.append(f"Facts up to {found['archived']} are in archives: `doubleloop audit archives`.")
    if found["checkpoints"]:
        lines.append(f"Signed up to fact {found['signed']} by key {found['key']}; checkpoints: {found['checkpoints']}.")
    return "\n".join(lines)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise errors.InvalidInput("This is not text", where=errors.Where(path)) from None


def _of_file(path: Path, public: str | None, given: list[Any]) -> Any:
    import dataclasses

    from doubleloop.base import exports

    with path.open("rb") as file:
        report = exports.verify(_lines(file, path), public=public, checkpoints=given)
    if report.line:
        raise errors.Failed(f"The export does not hold: {report.why}", where=errors.Where(str(path), report.line))
    shown = {key: value for key, value in dataclasses.asdict(report).items() if key not in ("line", "why")}
    return output.Shown(shown, text=lambda value: _of_report(value, public))


def _lines(file: Iterable[bytes], path: Path) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        try:
            yield line.decode()
        except UnicodeDecodeError:
            raise errors.Failed("The line is not text", where=errors.Where(str(path), number)) from None


def _of_report(found: dict[str, Any], public: str | None) -> str:
    what = "nothing left out" if found["whole"] else "a part of the record"
    lines = [f"Holds: {found['facts']} facts from {found['first']} to {found['last']}, {what}"]
    lines.append(f"Taken {found['at']} by {found['by']}, signed by key {found['key']}")
    if public is None:
        lines.append("Compare the key with `doubleloop audit key`, or give it with --key.")
    return "\n".join(lines)


@GROUP.command("archives", cls=options.Verb)
@options.shared(workspace=False)
def archives(session: Session) -> output.Shown:
    """What was archived, oldest first. The files are in the server's home folder, under audit/archive."""
    columns = [output.Column(title.capitalize(), title) for title in ("first", "seq", "at", "file", "sha256")]
    return output.Shown(session.client.audit.archives(), columns)


@GROUP.command("archive", cls=options.Verb)
@click.option("--older-than", required=True, metavar="DURATION", help="Such as 365d.")
@options.yes()
@options.shared(workspace=False)
def archive(session: Session, older_than: str, yes: bool) -> Any:
    """Write facts that are older to a sealed file of the server, and remove them from its database."""
    from doubleloop.base import clock

    try:
        seconds = clock.duration(older_than).total_seconds()
    except (ValueError, OverflowError) as error:
        raise errors.InvalidInput(str(error), where=errors.Where("--older-than")) from None
    session.confirm(f"Move all facts that are older than {older_than} out of the database?", yes)
    made = session.client.audit.archive(seconds)
    if made is None:
        session.note("Nothing is that old.")
    return made
