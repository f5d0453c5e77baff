"""The trainer of AutoML jobs as code that a job carries: what ran can be run again, whatever is installed by then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import doubleloop
from doubleloop.db.context import Contexts
from doubleloop.environments import queries as environments
from doubleloop.jobs import learning
from doubleloop.storage import ports as storage

FOLDER = "doubleloop_automl"
_HERE = Path(doubleloop.__file__).parent
# The reader of tables is that of parallel steps.
_READER = _HERE / "runner" / "parallel_tables.py"


# What of the trainer a model's pickle names.
CLASSES = tuple(
    f"{FOLDER}.{name}"
    for name in (
        "algorithms.Labelled", "columns.Columns", "ensembles.Together", "features.Dense", "features.Hashed",
        "forecaster.Forecaster",
    )
)  # fmt: skip


def is_unchanged(model: Path) -> bool:
    """Whether the code that a model brings along is the trainer as it is shipped, and nothing else."""
    code = model / "code"
    shipped = {f"{FOLDER}/{each.name}": each for each in files() if each != _READER}
    found = {str(each.relative_to(code)): each for each in code.rglob("*") if each.is_file()} if code.is_dir() else {}
    return bool(found) and all(
        name in shipped and each.read_bytes() == shipped[name].read_bytes() for name, each in found.items()
    )


def files() -> list[Path]:
    return [*sorted((_HERE / "trainers").glob("*.py")), _READER]


def kept(contexts: Contexts) -> dict[str, Any]:
    """``{"code": its address, "python", "packages": what its environment holds}``; the code is stored."""
    blobs = contexts.port(storage.Blobs)
    entries = tuple(
        storage.Entry(f"{FOLDER}/{each.name}", blobs.put_file(each), each.stat().st_size) for each in files()
    )
    python, packages = environments.curated_pins(learning.ENVIRONMENT_NAME)
    return {"code": f"tree:sha256:{blobs.put_entries(entries).sha256}", "python": python, "packages": list(packages)}
