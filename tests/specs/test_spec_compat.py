"""The table of fields is complete, the page made of it is current, and reading specs stays light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from doubleloop.specs import compat, detection, fields

CLASSES = sorted(
    {cls for model in detection.MODELS.values() for cls in compat.reachable(model)}, key=lambda c: c.__name__
)


def names(model: type[fields.Spec]) -> set[str]:
    return set(model.field_names())


@pytest.mark.parametrize("model", CLASSES, ids=lambda cls: cls.__name__)
def test_the_table_covers_exactly_the_fields(model: type[fields.Spec]) -> None:
    assert set(compat.entries(model)) == names(model)


@pytest.mark.parametrize("model", CLASSES, ids=lambda cls: cls.__name__)
def test_every_field_is_described_and_every_class_has_a_title(model: type[fields.Spec]) -> None:
    assert model.title
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_the_table_has_no_row_for_a_class_that_is_not_used() -> None:
    bases = {base for cls in CLASSES for base in cls.__mro__}
    assert [cls.__name__ for cls in compat.TABLE if cls not in bases] == []


def test_what_is_accepted_says_why_and_what_is_refused_says_what_instead() -> None:
    for rows in compat.TABLE.values():
        for name, entry in rows.items():
            assert bool(entry.why) == (entry.status != "honoured"), name
            assert bool(entry.instead) == (entry.status == "refused"), name


def test_the_reference_page_is_current() -> None:
    page = Path(__file__).parents[2] / "docs/reference-fields.md"
    assert page.read_text(encoding="utf-8") == compat.page(), "run: python -m doubleloop.specs.compat"


def test_reading_specs_needs_nothing_heavy() -> None:
    heavy = ("mlflow", "sqlalchemy", "fastapi", "dbos", "pandas", "numpy", "polars", "httpx", "jinja2")
    code = f"import sys; import doubleloop.specs.documents; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
