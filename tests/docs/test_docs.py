"""The pages cannot drift from the code: facts, settings, links."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

import doubleloop
from doubleloop.events import types
from doubleloop.identity.actions import Action
from doubleloop.settings.model import Settings

SOURCE = Path(doubleloop.__file__).parent
ROOT = SOURCE.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("examples/*/README.md")])
FACT = re.compile(r"^[a-z]+\.[a-z_]+$")
KNOWN = re.compile(r"`([a-z_]+\.[a-z_]+)`")
WRITERS = {"record", "append", "tell", "_tell", "_record"}


def written() -> Iterator[tuple[str, Path]]:
    """Types of facts that stand as literals in a call of a function that writes them."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name not in WRITERS:
                continue
            for argument in node.args:
                for part in ast.walk(argument):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str) and FACT.match(part.value):
                        yield part.value, path


def test_every_fact_is_documented() -> None:
    page = (ROOT / "docs" / "facts.md").read_text()
    known = set(re.findall(r"`([a-z]+\.[a-z_]+)`", page))
    found = dict(written())
    assert len(found) > 30
    told = {each for line in page.splitlines() if line.startswith("| `") for each in KNOWN.findall(line.split("|")[1])}
    assert told == types.TYPES, "what rules may hear is what the page tells of"
    missing = {f"{fact} ({path.relative_to(SOURCE)})" for fact, path in found.items() if fact not in known}
    assert not missing


def test_every_setting_is_documented_with_its_default() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    for setting in fields(Settings):
        assert f"`DOUBLELOOP_{setting.name.upper()}`" in page, setting.name
        assert setting.metadata["why"] in page, setting.name


def test_actions_are_in_alphabetical_order() -> None:
    assert [action.value for action in Action] == sorted(action.value for action in Action)
    assert [action.name for action in Action] == sorted(action.name for action in Action)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
