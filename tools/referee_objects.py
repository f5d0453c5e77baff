"""Builds the cases of `tests/sdk/cases` with Azure's own SDK and writes what it makes of them: `tests/sdk/golden`.

    python -m venv /tmp/azure && /tmp/azure/bin/pip install azure-ai-ml==1.35.2 'marshmallow<4'
    /tmp/azure/bin/python tools/referee_objects.py [FOLDER]

Each case is a program that sets ``entity``. It runs as it is written, with ``azure.ai.ml`` in place of
``doubleloop.sdk``, and what ``dump`` writes is kept. Run with a Python that has `azure-ai-ml`, never with that of this
project; no connection is made.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import sys
import warnings
from pathlib import Path
from typing import Any

import yaml

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

ROOT = Path(__file__).resolve().parents[1]
CASES, GOLDEN = ROOT / "tests" / "sdk" / "cases", ROOT / "tests" / "sdk" / "golden"
OURS, THEIRS = "doubleloop.sdk", "azure.ai.ml"


def _shut(*_: Any, **__: Any) -> Any:
    raise OSError("the referee builds objects and nothing else")


def build(case: Path, target: Path) -> None:
    """Write the YAML of one case. Its folder is shown as ``<cases>``."""
    text = case.read_text().replace(OURS, THEIRS)
    scope: dict[str, Any] = {"__name__": case.stem}
    exec(compile(text, str(case), "exec", dont_inherit=True), scope)
    entity = scope["entity"]
    if hasattr(entity, "_to_job") and entity.type != "pipeline":
        entity = entity._to_job()  # what a file would hold of it: as it is, it is a step
    target.unlink(missing_ok=True)
    entity.dump(str(target))
    if not target.exists():  # an online endpoint writes nothing
        target.write_text(yaml.safe_dump(json.loads(json.dumps(entity._to_dict(), default=str))))
    shown = target.read_text().replace(f"file:{CASES}", "<cases>").replace(f"azureml:{CASES}", "<cases>")
    target.write_text(re.sub(r"(?m)^creation_context:.*\n", "", shown.replace(str(CASES), "<cases>")))


def main(folder: Path) -> int:
    socket.socket.connect = _shut  # type: ignore[method-assign]
    socket.getaddrinfo = _shut
    os.chdir(CASES)
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for case in sorted(CASES.glob("*.py")):
        try:
            build(case, folder / f"{case.stem}.yml")
        except BaseException as error:  # the SDK raises whatever it likes
            failed += 1
            print(f"{case.name}: {type(error).__name__}: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDEN))
