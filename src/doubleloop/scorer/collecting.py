"""The place on this machine that ``azureml-ai-monitoring``'s ``Collector`` posts to, as beside every Azure ML scorer.

A post is handed to the gateway as it is: the collection, the correlation id, the time, the records as JSON.
"""

from __future__ import annotations

import http.server
import json
import os
import sys
import threading
from typing import Any, Callable, Dict, Optional

PATH = "/modeldata/log"
LARGEST_BYTES = 16 << 20

Tell = Callable[[Dict[str, Any], bytes], None]


def start(collections: Optional[Dict[str, bool]], folder: str, tell: Tell) -> None:
    """Listen on a free port of 127.0.0.1, and say where in the environment.

    ``collections``: which of the deployment's file are wanted; None is all. ``folder`` takes the configuration file.
    """
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(tell))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="collector", daemon=True).start()
    os.environ["AZUREML_MDC_HOST"] = "127.0.0.1"
    os.environ["AZUREML_MDC_PORT"] = str(server.server_address[1])
    if collections is None:
        os.environ.setdefault("AZUREML_MDC_ENABLED", "true")
        return
    path = os.path.join(folder, "mdc-%d.json" % os.getpid())
    wanted = {name: {"enabled": on, "sampleRatePercentage": 100} for name, on in collections.items()}
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"runMode": "cloud", "collections": wanted}, file)
    os.environ["AZUREML_MDC_CONFIG_PATH"] = path


def in_use() -> bool:
    """Whether the script has made a ``Collector``."""
    module = sys.modules.get("azureml.ai.monitoring.init")
    return bool(module is not None and module.is_sdk_ready())


def _handler(tell: Tell) -> type:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            size = self.headers.get("Content-Length", "")
            if self.path != PATH or not size.isdigit():
                self._answer(404 if self.path != PATH else 411)
                return
            if int(size) > LARGEST_BYTES:
                self.close_connection = True
                self._answer(413)
                return
            body = self.rfile.read(int(size))
            try:
                records = json.loads(body.decode("utf-8"))
                rows = records if isinstance(records, list) else [records]
                told = {
                    "op": "collected",
                    "collection": self.headers.get("ce-type", "").rpartition(".")[2],
                    "correlation": self.headers.get("ce-x-request-id") or self.headers.get("trace-id") or "",
                    "time": self.headers.get("ce-time", ""),
                    "rows": len(rows),
                }
                tell(told, json.dumps(rows).encode("utf-8"))
            except ValueError:
                self._answer(400)
                return
            self._answer(200)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Nothing: the scorer's log is the script's."""

    return Handler
