"""The nouns and verbs, by name: a module is imported when its command is used, never for ``--help`` of the whole."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import click

from doubleloop.base import errors


@dataclass(frozen=True)
class Entry:
    """``attribute`` of ``doubleloop.cli.<module>`` is the command; ``help`` is its line in the overview."""

    section: str
    module: str
    attribute: str
    help: str


def _noun(section: str, module: str, help_: str) -> Entry:
    return Entry(section, f"nouns.{module}", "GROUP", help_)


ENTRIES: dict[str, Entry] = {
    "up": Entry("Start", "running", "up", "Start the server, the gateway and MLflow."),
    "down": Entry("Start", "running", "down", "Stop them."),
    "status": Entry("Start", "running", "status", "What runs here, and how it does."),
    "demo": Entry("Start", "running", "demo", "Play a model's whole life on real data."),
    "init": Entry("Start", "projects", "init", "Write a project that runs as it is."),
    "login": Entry("Start", "access", "login", "Log in to a server and remember it."),
    "logout": Entry("Start", "access", "logout", "Forget the login."),
    "plan": Entry("Set up", "setup", "plan", "Show what a setup file would change."),
    "apply": Entry("Set up", "setup", "apply", "Make the installation as a setup file says."),
    "drift": Entry("Set up", "setup", "drift", "Show what was changed by hand since."),
    "destroy": Entry("Set up", "setup", "destroy", "Remove everything that a set-up made."),
    "workspace": _noun("Set up", "workspace", "Workspaces, and the default one."),
    "compute": _noun("Set up", "compute", "Where jobs run."),
    "datastore": _noun("Set up", "datastore", "Where data lies."),
    "registry": _noun("Set up", "registry", "Shared registries, and bundles between installations."),
    "secret": _noun("Set up", "secret", "Values given to jobs and deployments by name."),
    "user": _noun("Set up", "user", "People of this installation."),
    "token": _noun("Set up", "token", "Tokens of programs."),
    "principal": _noun("Set up", "principal", "Processes that act under a name of their own."),
    "role": _noun("Set up", "role", "Groups, personas, and who may do what."),
    "schema": _noun("Set up", "schema", "JSON schemas of files, for editors."),
    "data": _noun("Inner loop", "data", "Data assets and their versions."),
    "contract": _noun("Inner loop", "contract", "What versions of a data asset must look like."),
    "environment": _noun("Inner loop", "environment", "Environments jobs and deployments run in."),
    "component": _noun("Inner loop", "component", "Reusable pipeline steps."),
    "job": _noun("Inner loop", "job", "Command and pipeline jobs."),
    "model": _noun("Inner loop", "model", "Registered models."),
    "release": _noun("Outer loop", "release", "Releases: from a model version to production."),
    "online-endpoint": _noun("Outer loop", "online_endpoint", "Endpoints and their traffic."),
    "online-deployment": _noun("Outer loop", "online_deployment", "Deployments of models behind endpoints."),
    "batch-endpoint": _noun("Outer loop", "batch_endpoint", "Endpoints that score files, and their invocations."),
    "batch-deployment": _noun("Outer loop", "batch_deployment", "Models and pipelines behind batch endpoints."),
    "monitor": _noun("Watch and react", "monitor", "Monitors of deployed models: signals and alerts."),
    "alert": _noun("Watch and react", "alert", "Alerts of monitors, and what is done about them."),
    "budget": _noun("Watch and react", "budget", "Budgets of setup files, and what is spent of them."),
    "labeling": _noun("Watch and react", "labeling", "Projects in which people label data, and what they say."),
    "schedule": _noun("Watch and react", "schedule", "Jobs and monitors at set times."),
    "rule": _noun("Watch and react", "rule", "What happens when something happens."),
    "trace": Entry("Watch and react", "tracing", "trace", "Explain a prediction, release, model or decision."),
    "audit": _noun("Watch and react", "audit", "The record of everything, and proof that it is whole."),
    "az-shim": Entry("Start", "az", "shim", "Let scripts that call `az ml` reach this system."),
    "completion": Entry("Start", "completion", "completion", "Completion of these words in your shell."),
    "version": Entry("Start", "running", "version", "The versions of this program and its server."),
}

# Nouns of `az ml` and of later, recognised so that the answer says what to do now.
NOT_YET: dict[str, str] = {
    "capability-host": "Nothing here needs one.",
    "connection": "Give credentials as secrets of the workspace in a setup file.",
    "deployment-template": "Keep the deployment's YAML file in your repository and use --set.",
    "feature-set": "Keep features as a data asset that a pipeline writes: `doubleloop data create`.",
    "feature-store": "Keep features as data assets that pipelines write: `doubleloop data create`.",
    "feature-store-entity": "Keep features as data assets that pipelines write: `doubleloop data create`.",
    "index": "Build the index in a pipeline job and keep it as a data asset.",
    "marketplace-subscription": "Nothing here is bought.",
    "package": "Package substitutions are part of the setup file: `package_substitutions` of a workspace.",
    "policy": "Checks that block a release are part of its file: `checks` of a stage.",
    "serverless-endpoint": "Deploy the model itself: `doubleloop online-deployment create`.",
    "vnet": "Nothing here needs one.",
}


def nearest(word: str, known: Iterable[str]) -> str:
    """``Did you mean 'job'?``, or the list of what there is."""
    names = sorted(known)
    begun = [name for name in names if len(word) > 1 and (name.startswith(word) or word.startswith(name))]
    near = list(dict.fromkeys([*difflib.get_close_matches(word, names, 3), *begun]))[:3]
    if near:
        return "Did you mean " + " or ".join(f"'{name}'" for name in near) + "?"
    return f"There are: {', '.join(names)}."


class Verbs(click.Group):
    """The verbs of a noun; a mistyped one names its neighbours."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and not ctx.resilient_parsing:
            if name.startswith("-"):
                self.parse_args(ctx, args)
            known = self.list_commands(ctx)
            raise errors.InvalidInput(
                f"'{ctx.command_path}' knows no '{name}'",
                cure=nearest(name, known) + f" See `{ctx.command_path} --help`.",
            )
        return name if command else None, command, args[1:]


class Nouns(Verbs):
    """The whole command line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in NOT_YET:
            return _refusal(cmd_name)
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        found: Any = getattr(importlib.import_module(f"doubleloop.cli.{entry.module}"), entry.attribute)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in ENTRIES.items():
            sections.setdefault(entry.section, []).append((name, entry.help))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows, col_max=20)


def _refusal(noun: str) -> click.Command:
    """A command that takes anything and says what to do in its place."""

    def refuse(words: tuple[str, ...]) -> None:
        raise errors.NotSupported(f"'{noun}' is not served yet", cure=NOT_YET[noun])

    settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    arguments: list[click.Parameter] = [click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)]
    return click.Command(noun, context_settings=settings, callback=refuse, params=arguments, hidden=True)
