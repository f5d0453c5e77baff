"""A month of the past, asked hour by hour, and its true counts, sent later."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from doubleloop.base import errors
from doubleloop.demo.data import FEATURES

CONNECTIONS = 4
LABELS_AT_ONCE = 250


@dataclass(frozen=True)
class Endpoint:
    """``url`` is the scoring address; labels go beside it."""

    url: str
    key: str

    def connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        return http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=60)

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def labels_path(self) -> str:
        return self.path.removesuffix("/score") + "/labels"

    def headers(self, **more: str) -> dict[str, str]:
        return {"content-type": "application/json", "authorization": f"Bearer {self.key}", **more}


def ask(endpoint: Endpoint, replay: Path, progress: Callable[[int, int], None]) -> int:
    """Send every hour of a month as a request of its own, with the hour as its event time; returns how many.

    Raises Failed for an answer that is not 200.
    """
    hours = pl.read_csv(replay, try_parse_dates=True).to_dicts()
    local = threading.local()
    done = 0
    lock = threading.Lock()

    def one(hour: dict[str, object]) -> None:
        nonlocal done
        if not hasattr(local, "connection"):
            local.connection = endpoint.connection()
        body = {"input_data": {"columns": list(FEATURES), "data": [[hour[name] for name in FEATURES]]}}
        moment = str(hour["ts"]).replace(" ", "T") + "Z"
        headers = endpoint.headers(**{"ce-time": moment, "x-ms-client-request-id": str(hour["request_id"])})
        local.connection.request("POST", endpoint.path, json.dumps(body), headers)
        answer = local.connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise errors.Failed(f"The endpoint answered {answer.status}: {content[:300].decode(errors='replace')}")
        with lock:
            done += 1
            progress(done, len(hours))

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for _ in pool.map(one, hours):
            pass
    return len(hours)


def tell_truth(endpoint: Endpoint, truth: Path) -> int:
    """Send a month's true counts, joined to the requests by their ids; returns how many."""
    counts = pl.read_csv(truth).select("request_id", "count").to_dicts()
    return send_labels(endpoint, [(each["request_id"], float(each["count"])) for each in counts])


def send_labels(endpoint: Endpoint, values: Sequence[tuple[str, Any]]) -> int:
    """``values``: request ids, and what was true of their one row; returns how many."""
    rows = [{"request_id": request, "row": 0, "value": value} for request, value in values]
    connection = endpoint.connection()
    for start in range(0, len(rows), LABELS_AT_ONCE):
        body = json.dumps({"labels": rows[start : start + LABELS_AT_ONCE]})
        connection.request("POST", endpoint.labels_path, body, endpoint.headers())
        answer = connection.getresponse()
        content = answer.read()
        if answer.status not in (200, 202):
            raise errors.Failed(f"The labels were refused ({answer.status}): {content[:300].decode(errors='replace')}")
    connection.close()
    return len(rows)
