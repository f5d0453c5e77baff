"""The verbs that all assets share: list, show, labels, archive, restore."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, sharing

if TYPE_CHECKING:
    from doubleloop.cli.session import Session
    from doubleloop.sdk.assets import Assets

COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Version", "version"),
    output.Column("Type", "type"),
    output.Column("Labels", "labels"),
    output.Column("Workspace", "workspace"),
    output.Column("Created", "created_at", output.when),
    output.Column("By", "created_by"),
)


ALL = ("list", "show", "label", "archive", "restore", "share", "update")


def add(
    group: click.Group, plural: str, verbs: Sequence[str] = ALL, columns: Sequence[output.Column] = COLUMNS
) -> None:  # fmt: skip
    """Give ``group`` the ``verbs`` of the assets under the route ``plural``."""
    made = (
        _list(plural, columns), _show(plural), _label(plural), _archive(plural), _restore(plural), _share(plural),
        _update(plural),
    )  # fmt: skip
    for verb in made:
        if verb.name in verbs:
            group.add_command(verb)


def assets(session: Session, plural: str) -> Assets:
    found: Assets = getattr(session.workspace, plural)
    return found


def _list(plural: str, columns: Sequence[output.Column]) -> click.Command:
    @click.command("list", cls=options.Verb)
    @options.name(required=False)
    @click.option("--include-archived", "archived", is_flag=True, help="Archived ones too.")
    @options.limit()
    @options.shared()
    def list_(session: Session, name: str | None, archived: bool, limit: int | None) -> output.Shown:
        """The newest version of each name; with -n all versions of one."""
        kind = assets(session, plural)
        found = kind.versions(name, limit) if name else kind.list(archived=archived, limit=limit)
        return output.Shown(found, columns)

    return list_


def _show(plural: str) -> click.Command:
    @click.command("show", cls=options.Verb)
    @options.name()
    @options.version()
    @options.shared()
    def show(session: Session, name: str, version: str | None, label: str | None) -> Any:
        """One version: -n NAME -v VERSION, or NAME:VERSION, or NAME@LABEL."""
        return assets(session, plural).show(*options.asset(session, name, version, label))

    return show


def _label(plural: str) -> click.Command:
    @click.command("label", cls=options.Verb)
    @options.name()
    @click.option("-v", "--version", metavar="VERSION", help="Version that gets the label  [default: newest]")
    @click.option("-l", "--label", metavar="LABEL", required=True, help="The label, such as production.")
    @options.shared()
    def label_(session: Session, name: str, version: str | None, label: str) -> Any:
        """Point a label at a version."""
        kind = assets(session, plural)
        plain, wanted = options.asset(session, name, version, None)
        number = kind.show(plain, wanted)["version"] if wanted.startswith("@") else wanted
        return kind.set_label(plain, label, str(number))

    return label_


def _archive(plural: str) -> click.Command:
    @click.command("archive", cls=options.Verb)
    @options.name()
    @options.version()
    @options.shared()
    def archive(session: Session, name: str, version: str | None, label: str | None) -> Any:
        """Leave a version (without -v: all of them) out of listings; what uses it goes on."""
        kind = assets(session, plural)
        done = [kind.archive(*each) for each in _chosen(session, kind, name, version, label)]
        return done[0] if len(done) == 1 else done

    return archive


def _restore(plural: str) -> click.Command:
    @click.command("restore", cls=options.Verb)
    @options.name()
    @options.version()
    @options.shared()
    def restore(session: Session, name: str, version: str | None, label: str | None) -> Any:
        """Undo archive, of a version or (without -v) of all of them."""
        kind = assets(session, plural)
        done = [kind.restore(*each) for each in _chosen(session, kind, name, version, label)]
        return done[0] if len(done) == 1 else done

    return restore


def _chosen(
    session: Session, kind: Assets, name: str, version: str | None, label: str | None
) -> list[tuple[str, str]]:  # fmt: skip
    """The versions that are meant, by number: one, or all of a name. Raises NotFound."""
    plain, wanted = options.asset(session, name, version, label)
    if version or label or plain != name.removeprefix("azureml:"):
        found = kind.show(plain, wanted)
        return [(plain, str(found["version"]))]
    versions = kind.versions(plain)
    if not versions:
        raise errors.NotFound(f"Nothing is named {plain} here")
    return [(plain, str(each["version"])) for each in versions]


def _share(plural: str) -> click.Command:
    @click.command("share", cls=options.Verb)
    @options.name()
    @options.version()
    @click.option("--share-with-name", "as_name", metavar="NAME", help="Its name there  [default: the same]")
    @click.option(
        "--share-with-version", "as_version", metavar="VERSION", help="Its version there  [default: the same]"
    )
    @options.shared()
    def share(
        session: Session, name: str, version: str | None, label: str | None, as_name: str | None, as_version: str | None
    ) -> Any:
        """Put a version of the workspace into the registry that --registry-name names."""
        registry = session.flags.registry_name
        if not registry:
            raise errors.InvalidInput("It is not said where to", cure="Give --registry-name NAME.")
        here = getattr(session.client.workspace(session.working_in), plural)
        found = here.show(*options.asset(session, name, version, label))
        return sharing.share(session, plural, found, registry, as_name, as_version)

    return share


def _update(plural: str) -> click.Command:
    noun = plural.removesuffix("s")

    @click.command("update", cls=options.Verb, context_settings={"ignore_unknown_options": True})
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def update(words: tuple[str, ...]) -> None:
        """A version never changes; this says what to do instead."""
        raise errors.NotSupported(
            f"A version of a {noun} never changes once it is there: what used it must stay what it was",
            cure=f"Make a new version with `doubleloop {noun} create`, and move a label to it.",
        )

    return update
