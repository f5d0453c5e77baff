"""The options every verb shares, and those that many do. A verb gets a ``Session`` and returns what to print."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from doubleloop.base import errors

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

F = TypeVar("F", bound=Callable[..., Any])
_WORKSPACE = "Workspace  [default: $DOUBLELOOP_WORKSPACE, or the one in use]"
_FORMATS = ("table", "json", "jsonc", "yaml", "yamlc", "tsv", "none")
# Options that take several `key=value` words after one flag, as az's do.
_SEVERAL = ("--set", "--add", "--remove", "--traffic", "--mirror-traffic", "--tags", "--inputs", "--outputs")


class Verb(click.Command):
    """``--set a=1 b=2`` is read as ``--set a=1 --set b=2``, and ``--endpoint`` as ``--endpoint-name``: as az does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = {name for parameter in self.params for name in parameter.opts}
        several = [name for name in _SEVERAL if name in known]
        args = _whole(args, known)
        spread: list[str] = []
        flag, taken = "", False
        for position, word in enumerate(args):
            if word == "--":
                spread += args[position:]
                break
            if flag and taken and "=" in word and not word.startswith("-"):
                spread += [flag, word]
                continue
            if flag and not taken:
                taken = True
            else:
                flag, taken = (word, False) if word in several else ("", False)
            spread.append(word)
        return super().parse_args(ctx, spread)


def _whole(args: list[str], known: set[str]) -> list[str]:
    """Long options that were cut short, written out, where only one begins so."""
    found: list[str] = []
    for position, word in enumerate(args):
        if word == "--":
            return found + args[position:]
        flag, sign, value = word.partition("=")
        if flag.startswith("--") and flag not in known and flag != "--help":
            near = [name for name in known if name.startswith(flag)]
            word = near[0] + sign + value if len(near) == 1 else word
        found.append(word)
    return found


def shared(*, workspace: bool = True, user: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the shared options; calls with a ``Session``; prints what is returned (None: nothing)."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        @click.pass_context
        def run(ctx: click.Context, /, **given: Any) -> Any:
            from doubleloop.cli import output, session

            flags = {**(ctx.obj or {}), **{key: given.pop(key) for key in list(given) if key in _SHARED}}
            flags["output"] = flags.get("output") or _format()
            with session.Session(session.flags(**flags)) as opened:
                shown = function(opened, **given)
                if shown is not None:
                    output.show(shown, opened.flags.output, opened.flags.query)

        return _add(run, workspace, user)

    return decorate


def _format() -> str | None:
    """The format that ``$DOUBLELOOP_OUTPUT`` asks for where ``-o`` does not. Raises InvalidInput."""
    wanted = os.environ.get("DOUBLELOOP_OUTPUT") or None
    if wanted is not None and wanted not in _FORMATS:
        raise errors.InvalidInput(
            f"'{wanted}' is not a format", where=errors.Where("$DOUBLELOOP_OUTPUT"), cure=f"Use {', '.join(_FORMATS)}."
        )
    return wanted


_SHARED = frozenset({"output", "query", "workspace", "registry_name", "acting", "quiet"})


def _add(function: Callable[..., Any], workspace: bool, user: bool) -> Callable[..., Any]:
    acting = click.option("--user", "acting", metavar="NAME", help="Act as another stored login.")
    place = "-w", "--workspace", "--workspace-name"
    added = [
        click.option("-o", "--output", type=click.Choice(_FORMATS), help="Format  [default: table; json into a pipe]"),
        click.option("--query", metavar="JMESPATH", help="Part of the answer to print (jmespath.org)."),
        click.option(*place, "workspace", metavar="NAME", help=_WORKSPACE) if workspace else _ignored(*place),
        click.option("--registry-name", metavar="NAME", help="Look into a registry instead.") if workspace else None,
        acting if user else None,
        click.option("--only-show-errors", "quiet", is_flag=True, help="No progress, no notes."),
        *(_ignored(*names) for names in (("-g", "--resource-group"), ("--subscription",))),
        *(_ignored_flag(name) for name in ("--verbose", "--debug")),
    ]
    for option in reversed([each for each in added if each]):
        function = option(function)
    return function


def _ignored(*names: str) -> Callable[[F], F]:
    """Taken for the sake of scripts written for Azure; means nothing here."""
    return click.option(*names, metavar="…", expose_value=False, hidden=True)


def _ignored_flag(name: str) -> Callable[[F], F]:
    return click.option(name, is_flag=True, expose_value=False, hidden=True)


def file(*, required: bool = False) -> Callable[[F], F]:
    """``-f FILE`` and ``--set path=value``."""

    def decorate(function: F) -> F:
        sets = click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="Change a value of the file.")
        path = click.option(
            "-f", "--file", metavar="FILE", required=required, help="YAML file; - reads standard input."
        )
        return path(sets(function))

    return decorate


def name(what: str = "name", *, required: bool = True) -> Callable[[F], F]:
    """``-n NAME``, or NAME as the only word."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def run(*args: Any, name: str | None, word: str | None, **given: Any) -> Any:
            if name and word and name != word:
                raise errors.InvalidInput(f"Two names are given: {word} and {name}", cure="Leave one out.")
            if required and not (name or word):
                raise errors.InvalidInput(f"The {what} is missing", cure="Give it with -n NAME.")
            return function(*args, name=name or word, **given)

        option = click.option("-n", "--name", metavar="NAME", help=f"The {what}.")
        return click.argument("word", required=False, metavar="[NAME]")(option(run))  # type: ignore[return-value]

    return decorate


def version() -> Callable[[F], F]:
    """``-v VERSION`` or ``--label LABEL``."""

    def decorate(function: F) -> F:
        label = click.option("-l", "--label", metavar="LABEL", help="Label in place of a version.")
        return click.option("-v", "--version", metavar="VERSION", help="Version  [default: newest]")(label(function))

    return decorate


def limit() -> Callable[[F], F]:
    return click.option("-r", "--max-results", "limit", type=click.IntRange(1), metavar="N", help="At most so many.")


def yes() -> Callable[[F], F]:
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def no_wait() -> Callable[[F], F]:
    return click.option("--no-wait", is_flag=True, help="Do not wait for the end.")


def pairs(words: tuple[str, ...], flag: str) -> list[tuple[str, str]]:
    """``a=b`` words as pairs. Raises InvalidInput for one without ``=``."""
    found = []
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or not key:
            raise errors.InvalidInput(f"'{word}' is not of the form path=value", where=errors.Where(flag))
        found.append((key, value))
    return found


def shares(words: tuple[str, ...], flag: str = "--traffic") -> dict[str, int] | None:
    """``"blue=90 green=10"`` as whole percent by deployment; None when nothing was given."""
    found: dict[str, int] = {}
    for key, value in pairs(tuple(part for word in words for part in word.replace(",", " ").split()), flag):
        if not value.rstrip("%").isdigit():
            raise errors.InvalidInput(
                f"'{key}={value}' is not a share in whole percent",
                where=errors.Where(flag),
                cure="Write blue=90 green=10.",
            )
        if key in found:
            raise errors.InvalidInput(f"'{key}' is given twice", where=errors.Where(flag), cure="Give each name once.")
        found[key] = int(value.rstrip("%"))
    return found if words else None


def asset(session: Session, name: str, version: str | None, label: str | None) -> tuple[str, str]:
    """Name and version part of the route: from ``-n bikes -v 3``, ``bikes:3``, ``azureml:bikes@production``."""
    text = name.removeprefix("azureml:")
    if "@" in text:
        text, _, found = text.partition("@")
        label = label or found
    elif ":" in text:
        text, _, found = text.partition(":")
        version = version or found
    return text, version if version else f"@{label or 'latest'}"


def tags(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """``--tags a=b c=d`` as changes of the file, quoted so that YAML takes them for texts."""
    return [(f"tags.{key.replace('.', chr(92) + '.')}", f'"{value}"') for key, value in pairs(words, "--tags")]
