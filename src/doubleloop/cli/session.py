"""What one command runs with: which server, as whom, in which workspace, and where words for people go (stderr)."""

from __future__ import annotations

import dataclasses
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import click

from doubleloop import __version__
from doubleloop.base import errors
from doubleloop.cli import progress
from doubleloop.sdk import client as clients
from doubleloop.sdk import profiles, transport

# How long the server of this very home may take to be there again, in seconds.
_RESTART = 180.0


@dataclass(frozen=True)
class Flags:
    """The shared options as given; None where nothing was."""

    output: str | None = None
    query: str | None = None
    workspace: str | None = None
    registry_name: str | None = None
    user: str | None = None
    home: str | None = None
    quiet: bool = False
    reason: str | None = None


def flags(**given: Any) -> Flags:
    given.pop("debug", None)
    acting = given.pop("acting", None)
    return Flags(**{**given, "user": acting or given.get("user")})


class Session:
    """Connects when something is first asked for, so that a command that only reads files needs no server."""

    def __init__(self, flags_: Flags) -> None:
        self.flags = flags_
        self.progress = progress.Progress(sys.stderr, quiet=flags_.quiet)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.progress.clear()
        if "client" in self.__dict__:
            self.client.link.close()

    @property
    def environ(self) -> dict[str, str]:
        """The process environment, with ``--home`` in it."""
        return {**os.environ, **({"DOUBLELOOP_HOME": self.flags.home} if self.flags.home else {})}

    @property
    def home(self) -> Path:
        return profiles.home(self.environ)

    @cached_property
    def profile(self) -> profiles.Profile:
        return profiles.find(self.flags.user, self.environ)

    @cached_property
    def client(self) -> clients.Client:
        patience = transport.Patience(waiting=lambda why: self.progress.say(f"{why} Trying again."))
        if profiles.runs_here(self.home, self.profile.url):
            patience = dataclasses.replace(patience, seconds=_RESTART, unknown=_RESTART)
        reason = self.flags.reason or self.environ.get("DOUBLELOOP_REASON", "")
        return clients.Client(
            self.profile.url, self.profile.token, patience=patience, agent=f"doubleloop-cli/{__version__}",
            reason=reason,
        )  # fmt: skip

    def be_patient(self, seconds: float) -> None:
        """Go on trying for so long when the server goes away: what is waited for goes on without us."""
        patience = self.client.link.patience
        self.client.link.patience = dataclasses.replace(patience, seconds=max(seconds, patience.unknown))

    @cached_property
    def workspace(self) -> clients.Workspace:
        """The workspace or registry that was asked for; else the one in use; else the only one there is."""
        return self.client.workspace(self.flags.registry_name or self.working_in)

    @property
    def working_in(self) -> str:
        """The workspace, also when a registry is asked for."""
        return self.flags.workspace or self.profile.workspace or self._only()

    def _only(self) -> str:
        names = [each["name"] for each in self.client.workspaces() if not each.get("is_registry")]
        if len(names) == 1:
            return str(names[0])
        cure = "Make one with a setup file: `doubleloop apply -f setup.yml`."
        if names:
            cure = f"Add -w NAME, or choose one: `doubleloop workspace use NAME`. There are: {', '.join(names)}."
        raise errors.InvalidInput("No workspace was given", cure=cure)

    def note(self, text: str) -> None:
        """A line for the person, not for programs."""
        if not self.flags.quiet:
            self.progress.clear()
            click.echo(text, err=True)

    @property
    def machine(self) -> bool:
        """Whether stdout is for a program: then it gets the answer and nothing else."""
        return self.flags.output in ("json", "jsonc", "yaml", "yamlc", "tsv") or self.flags.query is not None

    def say(self, text: str) -> None:
        """Text that was asked for as it comes (a log): on stdout, unless that is for a program."""
        self.progress.clear()
        stream = sys.stderr if self.machine else sys.stdout
        stream.write(text)
        stream.flush()

    def confirm(self, question: str, yes: bool) -> None:
        """Ask on a terminal; without one, ``--yes`` is needed. Raises Abort for a no, InvalidInput without --yes."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise errors.InvalidInput("This needs a yes, and there is no terminal to ask on", cure="Add --yes.")
        self.progress.clear()
        click.confirm(question, abort=True, err=True)
