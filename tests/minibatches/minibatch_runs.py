"""Runs the coordinator as it runs in a step: a process of its own, started by file path."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doubleloop import minibatches

RUN = Path(minibatches.__file__).parent / "run.py"


@dataclass
class Bench:
    """A folder with ``data``, ``code`` (the working directory), ``kept`` and ``out``."""

    root: Path

    def __post_init__(self) -> None:
        for name in ("data", "code", "model"):
            (self.root / name).mkdir()

    def files(self, count: int, text: str = "x\n") -> None:
        for number in range(count):
            (self.root / "data" / f"f{number:02}.txt").write_text(text)

    def script(self, text: str) -> None:
        (self.root / "code" / "score.py").write_text(textwrap.dedent(text))

    def command(self, **given: Any) -> list[str]:
        body = {
            "entry": {"kind": "script", "folder": ".", "script": "score.py", "arguments": []},
            "inputs": [{"name": "data", "path": str(self.root / "data"), "type": "uri_folder"}],
            "model_dir": str(self.root / "model"), "size": 2, "append_to": str(self.root / "out" / "predictions.csv"),
            "folder": str(self.root / "out"), "kept": str(self.root / "kept"), "max_retries": 1, **given,
        }  # fmt: skip
        path = self.root / "spec.json"
        path.write_text(json.dumps(body))
        return [sys.executable, str(RUN), str(path)]

    def start(self, **given: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(**given), cwd=self.root / "code", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, **given: Any) -> tuple[int, str]:
        """The exit code and everything that was said."""
        process = self.start(**given)
        said, _ = process.communicate(timeout=240)
        return process.returncode, said

    def rows(self, name: str = "predictions.csv") -> list[str]:
        return (self.root / "out" / name).read_text().splitlines()

    def summary(self) -> dict[str, Any]:
        return json.loads((self.root / "code" / "logs" / "mini_batches.json").read_text())
