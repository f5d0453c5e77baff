"""What was answered is in the log: once, typed, and whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars
import pytest
from gateway_harness import KEY, Gateway, Load, Models, deployment, endpoint, wait_for

from doubleloop.base import clock
from doubleloop.gateway import log, protocol

BODY = {"data": [[1, 2], [3, 4]]}
Script = Callable[..., protocol.Deployment]


@pytest.mark.slow
def test_rows_are_typed_by_the_signature(gateway: Gateway, models: Models) -> None:
    blue = deployment("dep-1", models.path("bikes"))
    gateway.start().want({"shop/bikes": endpoint({"blue": blue})})
    client = gateway.client()
    before = clock.now()
    records = models.frame.head(3).to_dict("records")
    answer = client.score("shop/bikes", {"input_data": records}, ce_time="2013-05-01T08:00:00Z")
    wrong = client.score("shop/bikes", {"input_data": [{**records[0], "hour": "noon"}]})
    gateway.admin().flush()
    rows = log.read(gateway.home, "shop", "bikes", "blue")
    right = rows.filter(polars.col("request_id") == answer.request_id)
    assert right["row"].to_list() == [0, 1, 2]
    assert {name: str(kind) for name, kind in rows.schema.items() if "." in name} == {
        "in.hour": "Int64", "in.temperature": "Float64", "in.workday": "Boolean", "in.weather": "String",
        "out.prediction": "Float64",
    }  # fmt: skip
    for name in models.frame.columns:
        assert right[f"in.{name}"].to_list() == models.frame[name].head(3).to_list()
    assert right["out.prediction"].to_list() == answer.json
    first = right.row(0, named=True)
    assert first["time"] == datetime(2013, 5, 1, 8, tzinfo=UTC)
    assert before <= first["received_at"] <= clock.now()
    assert (first["deployment"], first["deployment_id"], first["model"], first["model_version"], first["status"]) == (
        "blue", "dep-1", "bikes", "3", 200,
    )  # fmt: skip
    failed = rows.filter(polars.col("request_id") == wrong.request_id).row(0, named=True)
    assert failed["status"] == 400
    assert "row 0, column 'hour': expected long" in failed["error"]
    assert failed["in.hour"] is None


def test_event_time_is_the_callers_when_valid(gateway: Gateway, script: Script) -> None:
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1")})})
    client = gateway.client()
    for hour in range(4):
        client.score("shop/bikes", BODY, ce_time=f"2014-01-01T{hour:02}:30:00+00:00")
    odd = client.score("shop/bikes", BODY, ce_time="yesterday at noon")
    last = client.score("shop/bikes", BODY, ce_time="9999-12-31T23:59:59.999999Z")  # not to be rounded up
    beyond = client.score("shop/bikes", BODY, ce_time="9999-12-31T23:59:59-14:00")
    label = {"request_id": odd.request_id, "value": 1, "time": "9999-12-31T23:59:59-14:00"}
    headers = {"Authorization": f"Bearer {KEY}", "content-type": "application/json"}
    refused = client.send("POST", "/shop/bikes/labels", json.dumps({"labels": [label]}).encode(), headers)
    assert refused.status == 400 and "not an ISO 8601 time" in refused.error["message"]
    gateway.admin().flush()
    since, until = datetime(2014, 1, 1, 1, 30, tzinfo=UTC), datetime(2014, 1, 1, 3, 30, tzinfo=UTC)
    window = log.read(gateway.home, "shop", "bikes", "blue", since=since, until=until)
    assert [moment.hour for moment in window["time"]] == [1, 1, 2, 2]
    late = log.read(gateway.home, "shop", "bikes", since=datetime(2020, 1, 1, tzinfo=UTC))
    assert set(late["request_id"]) == {odd.request_id, last.request_id, beyond.request_id}
    assert late["time"].max() == datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    arrived = late.filter(late["request_id"] != last.request_id)
    assert (arrived["time"] == arrived["received_at"]).all()


def test_nothing_is_logged_that_is_not_to_be_collected(gateway: Gateway, script: Script) -> None:
    none = protocol.Collect(inputs=False, outputs=False)
    half = protocol.Collect(sampling_rate=0.5)
    gateway.start().want(
        {"shop/none": endpoint({"blue": script("dep-1", collect=none)}),
         "shop/half": endpoint({"blue": script("dep-2", collect=half)})}
    )  # fmt: skip
    client = gateway.client()
    client.score("shop/none", BODY)
    for number in range(100):
        client.score("shop/half", {"data": [[number]]}, x_request_id=f"request-{number}")
    client.score("shop/half", {"raise": "an error"}, x_request_id="a-failed-request")
    gateway.admin().flush()
    assert log.read(gateway.home, "shop", "none").columns == list(log.COLUMNS)
    half_rows = log.read(gateway.home, "shop", "half")
    assert 20 < half_rows.height < 80
    assert "a-failed-request" in half_rows["request_id"].to_list()


@pytest.mark.slow
def test_no_answered_request_is_lost_when_the_gateway_is_killed_under_load(gateway: Gateway, script: Script) -> None:
    gateway.options |= {"rotate_rows": 40, "rotate_seconds": 0.5}
    answered = []
    blue = script("dep-1", instances=2)
    gateway.start().want({"shop/bikes": endpoint({"blue": blue})})
    for _ in range(3):
        with Load(gateway, "shop/bikes", BODY) as load:
            load.more(100)
            gateway.kill()
            load.ended()
        answered += [answer.request_id for answer in load.answers]
        gateway.start().converged()
    gateway.admin().flush()
    rows = log.read(gateway.home, "shop", "bikes")
    assert rows.select("request_id", "row").is_unique().all()
    assert set(answered) <= set(rows["request_id"])
    assert rows.group_by("request_id").len()["len"].unique().to_list() == [2]
    # At most what was being answered in each kill: logged, but the answer never arrived.
    assert len(set(rows["request_id"]) - set(answered)) <= 3 * 4
    assert not list(gateway.home.glob("inference/*/*/*/wal/*"))


def test_a_clean_stop_under_load_loses_nothing_and_leaves_parquet_only(gateway: Gateway, script: Script) -> None:
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1", instances=2, max_queue_wait_ms=5000)})})
    with Load(gateway, "shop/bikes", BODY) as load:
        load.more(100)
        gateway.process.send_signal(signal.SIGTERM)
        load.ended()
        assert gateway.process.wait(60) == 0
    assert {answer.status for answer in load.answers} == {200}
    rows = log.read(gateway.home, "shop", "bikes")
    assert sorted(rows["request_id"].unique()) == sorted(answer.request_id for answer in load.answers)
    assert rows.height == 2 * len(load.answers)
    assert not list(gateway.home.glob("inference/*/*/*/wal/*"))
    assert not gateway.scorers()
    assert not (gateway.home / "serving" / "admin.sock").exists()


def test_draining_over_the_admin_socket_is_a_clean_stop(gateway: Gateway, script: Script) -> None:
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1")})})
    sent = gateway.client().score("shop/bikes", BODY)
    gateway.admin().drain()
    assert log.read(gateway.home, "shop", "bikes")["request_id"].to_list() == [sent.request_id] * 2
    assert gateway.process.wait(60) == 0


def test_a_killed_converter_is_replaced(gateway: Gateway, script: Script) -> None:
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1")})})
    client = gateway.client()
    client.score("shop/bikes", BODY)
    assert gateway.admin().flush() == 1
    children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split()
    converter = next(pid for pid in children if "rotation" in Path(f"/proc/{pid}/cmdline").read_text())
    os.kill(int(converter), signal.SIGKILL)
    client.score("shop/bikes", BODY)
    assert gateway.admin().flush() == 1
    assert log.read(gateway.home, "shop", "bikes").height == 4


def test_a_disk_that_refuses_the_log_means_no_answer(gateway: Gateway, script: Script) -> None:
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1")})})
    folder = gateway.home / "inference" / "shop" / "bikes"
    folder.mkdir(parents=True)
    (folder / "blue").write_text("a file where the log's folder should be")
    answer = gateway.client().score("shop/bikes", BODY)
    assert answer.status == 503
    assert "the answer cannot be logged" in answer.error["message"]
    (folder / "blue").unlink()
    assert gateway.client().score("shop/bikes", BODY).status == 200


def test_labels_are_logged_and_the_last_one_counts(gateway: Gateway, script: Script) -> None:
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1")})})
    client = gateway.client()
    answer = client.score("shop/bikes", BODY, ce_time="2013-01-01T00:00:00Z")

    def send(value: object, key: str = KEY) -> int:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        return client.send("POST", "/shop/bikes/labels", json.dumps(value).encode(), headers).status

    def label(**more: object) -> dict[str, list[dict[str, object]]]:
        return {"labels": [{"request_id": answer.request_id, "row": 0, "value": 12.0, **more}]}

    assert send(label(value=11)) == 202
    assert send(label(time="2013-01-02T00:00:00Z")) == 202
    assert send(label(row=1, value=True, time="2013-01-03T00:00:00Z")) == 202
    odd_labels = [
        label(value=None), label(value=[1]), label(row=-1), label(row=True), label(row=1.5), label(request_id="?"),
        label(time="late"), label(extra=1),
    ]  # fmt: skip
    for wrong in [{}, [], {"labels": []}, {"labels": [3]}, *odd_labels]:
        assert send(wrong) == 400, wrong
    assert send(label(), key="wrong") == 401
    gateway.admin().flush()
    labels = log.read_labels(gateway.home, "shop", "bikes")
    assert labels.select("request_id", "row", "value").rows() == [
        (answer.request_id, 0, 12.0), (answer.request_id, 1, 1.0)
    ]  # fmt: skip
    assert log.read_labels(gateway.home, "shop", "bikes", since=datetime(2013, 1, 3, tzinfo=UTC)).height == 1
    joined = log.read(gateway.home, "shop", "bikes").join(labels, on=["request_id", "row"])
    assert joined.select("out.prediction", "value").rows() == [(3, 12.0), (7, 1.0)]
    mixed = [
        label(row=row, value=value)["labels"][0]
        for row, value in ((0, "rain"), (2, "yes"), (3, 3.0), (4, 2.5), (5, False))
    ]
    assert send({"labels": mixed}) == 202
    gateway.admin().flush()
    told = log.read_labels(gateway.home, "shop", "bikes").sort("row")["value"].to_list()
    assert told == ["rain", "1", "yes", "3", "2.5", "0"], "beside a text all are texts, and a class is 1, not 1.0"


def test_a_second_gateway_on_the_same_home_or_port_is_refused(gateway: Gateway, tmp_path: Path) -> None:
    gateway.start()
    for home, port, words in (
        (gateway.home, 0, "another gateway runs on"),
        (tmp_path / "other", gateway.port, "cannot listen on 127.0.0.1"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "doubleloop.gateway", "--home", str(home), "--port", str(port)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 5
        assert words in done.stderr
    assert gateway.client().send("GET", "/health").status == 200


def test_old_segments_become_parquet_without_a_flush(gateway: Gateway, script: Script) -> None:
    gateway.options["rotate_seconds"] = 0.2
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1")})})
    gateway.client().score("shop/bikes", BODY)
    wait_for(lambda: log.read(gateway.home, "shop", "bikes").height == 2, "the rows")
