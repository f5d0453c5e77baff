"""What a data version holds, over HTTP."""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx
import uvicorn
from api_server import Prepared, Served
from fastapi import FastAPI

from doubleloop.api import streaming


def test_a_table_is_described_to_who_may_read_it(served: Served, prepared: Prepared) -> None:
    path = "/api/v1/workspaces/dev/data/thing/versions/1/profile"
    found = served.as_("admin").get(path)
    assert found.status_code == 200, found.text
    told = found.json()
    assert told["data"] == "data:dev/thing:1"
    assert told["rows"] == told["rows_in_all"] >= 1
    assert "comparison" not in told
    with_other = served.as_("admin").get(path, params={"against": "1"}).json()["comparison"]
    assert with_other["rows"]["before"] == with_other["rows"]["after"] == told["rows"]
    assert {each["distance"] for each in with_other["moved"]} == {0.0}
    assert served.as_("admin").get(path, params={"target": "ghost"}).status_code == 400
    assert served.as_("nobody").get(path).status_code == 403
    lines = [json.loads(line) for line in served.as_("admin").post(path, json={"against": "1"}).text.splitlines()]
    assert {key for line in lines[:-1] for key in line} == {"progress"}
    assert lines[-1]["result"] == {**told, "comparison": with_other}
    (wrong,) = [
        json.loads(line) for line in served.as_("admin").post(path, json={"target": "ghost"}).text.splitlines()
    ][-1:]
    assert wrong["error"]["code"] == "invalid_input"
    assert served.as_("nobody").post(path, json={}).status_code == 403
    assert served.as_("admin").post(path.replace("/1/", "/99/"), json={}).status_code == 404


def test_what_grows_is_ended_when_the_caller_goes_away() -> None:
    over = threading.Event()

    def work(progress: Any, stop: threading.Event) -> dict[str, Any]:
        progress("begun")
        stop.wait(60)
        over.set()
        return {}

    api = FastAPI()
    api.post("/look")(lambda: streaming.answer(work, "a look"))
    server = uvicorn.Server(uvicorn.Config(api, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.stream("POST", f"http://127.0.0.1:{port}/look") as answer:
        assert next(answer.iter_lines()) == '{"progress": "begun"}'
        assert not over.is_set()
    assert over.wait(60), "the connection is closed"
    server.should_exit = True
    thread.join()
