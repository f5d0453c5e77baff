"""Every noun and verb explains itself, quickly, and a mistyped one names its neighbour."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from doubleloop.cli import app, reference, tree

DOCS = Path(__file__).parents[2] / "docs" / "commands.md"


def commands() -> Iterator[tuple[str, click.Command]]:
    with click.Context(app.program, info_name="doubleloop") as root:
        for name in app.program.list_commands(root):
            command = app.program.get_command(root, name)
            assert command is not None
            yield name, command
            if isinstance(command, click.Group):
                for verb in command.list_commands(root):
                    found = command.get_command(root, verb)
                    assert found is not None
                    yield f"{name} {verb}", found


ALL = dict(commands())


@pytest.mark.parametrize("words", ALL)
def test_every_command_has_a_help_page(words: str) -> None:
    command = ALL[words]
    with click.Context(command, info_name=f"doubleloop {words}") as ctx:
        page = command.get_help(ctx)
    assert page.startswith(f"Usage: doubleloop {words}")
    flags = [flag for parameter in command.params for flag in parameter.opts]
    assert len(flags) == len(set(flags)), flags
    assert command.help, "say in a docstring what it does"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, f"{words} {parameter.opts} has no help"


def test_the_reference_in_the_docs_is_what_the_commands_say() -> None:
    _, _, written = DOCS.read_text().partition(reference.MARKER)
    assert written == "\n" + reference.markdown(), "run `python -m doubleloop.cli.reference docs/commands.md`"
    assert not [
        words for words, command in ALL.items() if not isinstance(command, click.Group) and words not in written
    ]


def test_help_works_as_a_process(terminal: Any) -> None:
    for words in ([], ["job"], ["job", "create"], ["release", "approve"], ["up"], ["trace"]):
        done = terminal(*words, "--help")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("Usage: doubleloop " + " ".join(words))


HEAVY = ("pydantic", "ruamel", "jmespath", "http.client", "numpy", "polars", "fastapi", "sqlalchemy", "mlflow", "httpx",
         "doubleloop.specs", "doubleloop.sdk", "doubleloop.settings", "doubleloop.db", "asyncio")  # fmt: skip
SERVER = ("settings", "db", "events", "durable", "storage", "identity", "workspaces", "catalog", "compute", "tracking",
          "data", "environments", "models", "jobs", "gates", "endpoints", "monitoring", "releases", "automation", "api",
          "console", "wiring", "main", "gateway", "runner", "scorer", "statistics", "quarantine")  # fmt: skip


def loaded(code: str) -> set[str]:
    script = f"import sys, json\n{code}\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout.rsplit("\n", 2)[-2]))


@pytest.mark.parametrize("words", [["--help"], ["job", "--help"], ["job", "create", "--help"], ["up", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    modules = loaded(f"from doubleloop.cli import app; app.run({words})")
    heavy = [name for name in HEAVY if name in modules]
    assert not heavy


def test_the_whole_help_imports_no_noun() -> None:
    modules = loaded("from doubleloop.cli import app; app.run(['--help'])")
    assert not [name for name in modules if name.startswith("doubleloop.cli.nouns")]


def test_no_command_imports_a_room_of_the_server() -> None:
    everything = (
        "\n".join(f"import doubleloop.cli.{entry.module}" for entry in tree.ENTRIES.values())
        + "\nimport doubleloop.cli.files, doubleloop.cli.follow, doubleloop.cli.session, doubleloop.sdk.documents"
    )
    modules = loaded(everything)
    assert not [name for name in SERVER if f"doubleloop.{name}" in modules]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["jbo", "create"], "Did you mean 'job'?"),
        (["online-endpont", "show"], "'online-endpoint'"),
        (["endpoint"], "'online-endpoint'"),
        (["xyzzy"], "There are: alert, apply, audit,"),
        (["job", "craete"], "Did you mean 'create'"),
        (["release", "aprove"], "Did you mean 'approve'?"),
        (["job", "create", "--strem"], "--stream"),
        (["job", "show", "-n", "a", "b"], "Two names are given: b and a"),
    ],
)
def test_mistyped_words_name_their_neighbours(words: list[str], hint: str, terminal: Any) -> None:
    done = terminal(*words)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert hint in done.err


@pytest.mark.parametrize("noun", tree.NOT_YET)
def test_nouns_of_later_say_what_to_do_now(noun: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([noun, "create", "-f", "x.yml", "--name", "y", "--help"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: '{noun}' is not served yet\n  cure: ")


def test_the_version_is_the_packages(terminal: Any) -> None:
    from importlib import metadata

    assert terminal("--version").out == f"doubleloop {metadata.version('doubleloop')}\n"
