"""The parts of the demonstration that can be shown without playing it; `.ci/run` plays the whole."""

from __future__ import annotations

import http.server
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doubleloop.base import errors
from doubleloop.demo import play, replay, state
from doubleloop.demo.telling import Teller
from doubleloop.settings.model import Settings


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        server: Any = self.server
        server.seen.append((self.path, dict(self.headers), json.loads(content)))
        code = server.status
        body = b'{"error": "no"}' if code >= 400 else b"[1.0]"
        self.send_response(code)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def gateway() -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    server.seen, server.status = [], 200
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def endpoint(server: Any) -> replay.Endpoint:
    return replay.Endpoint(f"http://127.0.0.1:{server.server_port}/prod/bikes/score", "secret")


def test_every_hour_is_asked_once_with_its_own_time_and_id(gateway: Any, tmp_path: Path) -> None:
    file = tmp_path / "replay.csv"
    rows = [f"r{hour},2013-01-01T{hour:02d}:00:00,{hour},1,1,2.5,8.0,0.0" for hour in range(24)]
    file.write_text("\n".join(["request_id,ts,hour,weekday,workingday,tmin,tmax,pn", *rows]))
    told: list[tuple[int, int]] = []
    assert replay.ask(endpoint(gateway), file, lambda done, total: told.append((done, total))) == 24
    assert sorted(told)[-1] == (24, 24)
    by_id = {headers["x-ms-client-request-id"]: (path, headers, body) for path, headers, body in gateway.seen}
    assert len(gateway.seen) == len(by_id) == 24
    path, headers, body = by_id["r7"]
    assert path == "/prod/bikes/score"
    assert headers["ce-time"] == "2013-01-01T07:00:00Z"
    assert headers["authorization"] == "Bearer secret"
    assert body["input_data"]["columns"] == ["hour", "weekday", "workingday", "tmin", "tmax", "pn"]
    assert body["input_data"]["data"] == [[7, 1, 1, 2.5, 8.0, 0.0]]


def test_a_refused_hour_ends_the_replay_with_the_endpoints_words(gateway: Any, tmp_path: Path) -> None:
    gateway.status = 400
    file = tmp_path / "replay.csv"
    file.write_text("request_id,ts,hour,weekday,workingday,tmin,tmax,pn\nr,2013-01-01T00:00:00,0,1,1,2.5,8.0,0.0\n")
    with pytest.raises(errors.Failed, match="answered 400"):
        replay.ask(endpoint(gateway), file, lambda *_: None)


def test_true_counts_go_to_the_labels_address_in_batches(gateway: Any, tmp_path: Path) -> None:
    file = tmp_path / "truth.csv"
    file.write_text("request_id,count\n" + "\n".join(f"r{number},{number}" for number in range(600)))
    assert replay.tell_truth(endpoint(gateway), file) == 600
    assert {path for path, _, _ in gateway.seen} == {"/prod/bikes/labels"}
    labels = [label for _, _, body in gateway.seen for label in body["labels"]]
    assert [(each["request_id"], each["value"]) for each in labels] == [(f"r{n}", float(n)) for n in range(600)]


def test_what_was_done_is_known_to_the_next_run(tmp_path: Path) -> None:
    first = state.load(tmp_path / "demo" / "state.json")
    first.months.append({"month": "2013-01", "mae": 51.4})
    first.finish("set-up")
    first.finish("set-up")
    second = state.load(tmp_path / "demo" / "state.json")
    assert second.done == ["set-up"]
    assert second.months == [{"month": "2013-01", "mae": 51.4}]


def test_a_folder_that_the_demonstration_did_not_make_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(errors.Conflict, match="was not made by the demonstration"):
        play._forget(Settings(home=tmp_path))
    assert (tmp_path / "thesis.txt").exists()


def test_starting_over_keeps_what_was_downloaded(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "demo" / "cache").mkdir(parents=True)
    (home / "demo" / "cache" / "rides.csv").write_text("data")
    (home / "demo" / "state.json").write_text("{}")
    (home / "doubleloop.sqlite").write_text("old")
    play._forget(Settings(home=home))
    assert (home / "demo" / "cache" / "rides.csv").read_text() == "data"
    assert not (home / "doubleloop.sqlite").exists()


@pytest.mark.parametrize(("month", "end"), [("2013-01", "2013-02-01T00:00:00Z"), ("2013-12", "2014-01-01T00:00:00Z")])
def test_a_month_ends_where_the_next_begins(month: str, end: str) -> None:
    assert play._month_end(month) == end


def test_facts_are_told_in_words_and_endings_with_their_reasons() -> None:
    fact = {"type": "release.traffic", "actor": "service:releases", "data": {"percent": 50}}
    assert play._line(fact) == "50 % of the traffic"
    failed = {"type": "release.failed", "actor": "service:releases", "data": {"reasons": ["rmse 9 is above 8"]}}
    assert play._line(failed) == "failed: rmse 9 is above 8"
    assert play._line({"type": "release.evidence", "actor": "x", "data": {"reasons": ["good"]}}) == ""


def test_without_a_terminal_waiting_lines_are_not_written() -> None:
    stream = io.StringIO()
    teller = Teller(stream)
    teller.doing("waiting")
    teller.say("done")
    assert "waiting" not in stream.getvalue()
    assert stream.getvalue().endswith("done\n")


def test_the_projects_files_are_found_from_the_package() -> None:
    for name in ("bikes", "tweets"):
        assert (play.project(name) / "release.yml").exists()
