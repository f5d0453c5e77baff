"""Asks Azure's own SDK how it reads the small cases, and writes its answers down: `tests/specs/referee/golden.json`.

    python -m venv /tmp/azure && /tmp/azure/bin/pip install azure-ai-ml==1.35.2 'marshmallow<4'
    python tools/referee.py /tmp/azure/bin/python

The SDK is no dependency of this project. With its Python in `DOUBLELOOP_REFEREE` and a folder of files in
`DOUBLELOOP_CORPUS`, `tests/specs/test_spec_referee.py` also compares every file of that folder.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.specs import detection, sources

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "specs" / "referee"
CASES, GOLDEN = FOLDER / "cases", FOLDER / "golden.json"
HERE = "<cases>"


def ask(python: str, lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The SDK's answers, in the order of ``lines``. One process for all: importing it takes seconds."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    program = Path(__file__).with_name("referee_azure.py")
    done = subprocess.run([python, str(program)], input=text, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def question(path: Path) -> dict[str, Any] | None:
    """What to ask about a file; None when it is of no kind that the SDK knows."""
    try:
        data, source = sources.read(path.read_text(), path.name, path.parent)
        kind = detection.find(data, source)
    except (errors.DoubleloopError, UnicodeDecodeError):
        return None
    if kind in detection.OWN:
        return None
    return {"file": str(path), "kind": kind, "type": str(data.get("type", "")).lower()}


def main(python: str) -> None:
    lines = [line for path in sorted(CASES.glob("*.yml")) if (line := question(path))]
    answers = ask(python, lines)
    golden = {
        Path(line["file"]).name: {"kind": line["kind"], **{key: answer[key] for key in answer if key != "file"}}
        for line, answer in zip(lines, answers, strict=True)
    }
    text = json.dumps(golden, indent=1, sort_keys=True).replace(str(CASES), HERE)
    GOLDEN.write_text(text + "\n", encoding="utf-8")
    refused = sum("error" in answer for answer in answers)
    print(f"{len(answers)} cases, {refused} refused by the SDK -> {GOLDEN}")


if __name__ == "__main__":
    main(sys.argv[1])
