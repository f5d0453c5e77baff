"""What Azure's own SDK reads in files: run with a Python that has `azure-ai-ml`, never with that of this project.

Reads lines of JSON ``{"file", "kind", "sets": {path: value}}`` on stdin and writes one line of JSON for each:
``{"file", "loaded": {…}}`` or ``{"file", "error": "…"}``. No connection is made: sockets are shut.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
import warnings
from typing import Any

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

from azure.ai import ml  # noqa: E402
from azure.ai.ml.entities import _load_functions as functions  # noqa: E402


def _shut(*_: Any, **__: Any) -> Any:
    raise OSError("the referee reads files and nothing else")


def _loader(kind: str, type_: str) -> Any:
    if kind.endswith("_job"):
        return ml.load_job
    if kind.endswith("_component"):
        return ml.load_component
    if kind == "batch_deployment":
        pipeline = functions.load_pipeline_component_batch_deployment
        return pipeline if type_ == "pipeline" else functions.load_model_batch_deployment
    return functions.load_schedule if kind == "schedule" else getattr(ml, f"load_{kind}")


def read(line: dict[str, Any]) -> dict[str, Any]:
    try:
        overrides = [{path: value} for path, value in line.get("sets", {}).items()]
        loader = _loader(line["kind"], line.get("type", ""))
        entity = loader(source=line["file"], params_override=overrides)
        return {"file": line["file"], "loaded": json.loads(json.dumps(entity._to_dict(), default=str))}
    except BaseException as error:  # the SDK raises whatever it likes, SystemExit among it
        return {"file": line["file"], "error": f"{type(error).__name__}: {error}"[:500]}


def main() -> None:
    socket.socket.connect = _shut  # type: ignore[method-assign]
    socket.getaddrinfo = _shut
    for line in sys.stdin:
        print(json.dumps(read(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
