"""How far the demonstration has come, so that a second run goes on where the first one stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class State:
    """``job`` and ``release`` are the ids of the first training and its release; ``months`` what each replayed month
    measured, in order."""

    file: Path
    done: list[str] = field(default_factory=list)
    months: list[dict[str, Any]] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)

    def save(self) -> None:
        body = {key: value for key, value in asdict(self).items() if key != "file"}
        beside = self.file.with_suffix(".incoming")
        self.file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(body, indent=2))
        beside.rename(self.file)

    def finish(self, part: str) -> None:
        if part not in self.done:
            self.done.append(part)
        self.save()


def load(file: Path) -> State:
    if not file.exists():
        return State(file)
    return State(file, **json.loads(file.read_text()))
