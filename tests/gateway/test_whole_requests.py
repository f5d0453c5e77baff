"""Scripts that take the whole HTTP request, describe themselves, or collect what they see; tokens; kept headers."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_harness import KEY, Client, Gateway, deployment, endpoint

from doubleloop.gateway import log, protocol, tokens

SEED = b"7" * 32
RAW = """
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse

def init():
    pass

@rawhttp
def run(req: AMLRequest):
    if req.method == "GET":
        return AMLResponse({"asked": req.args["q"]}, 200, json_str=True)
    files = req.files.getlist("file")
    if not files:
        return AMLResponse("no file", 422, {"X-Why": "empty"})
    answer = AMLResponse(files[0].stream.read()[::-1], 200)
    answer.mimetype = "image/jpg"
    return answer
"""
COLLECTING = """
import json, os, urllib.request

def post(name, rows, correlation):
    request = urllib.request.Request(
        "http://%s:%s/modeldata/log" % (os.environ["AZUREML_MDC_HOST"], os.environ["AZUREML_MDC_PORT"]),
        json.dumps(rows).encode(), {
            "ce-type": "azureml.inference." + name, "ce-x-request-id": correlation, "ce-time": "1700000000",
            "Content-Type": "application/json",
        }, method="POST",
    )
    assert urllib.request.urlopen(request).status == 200

def init():
    import sys, types
    made = types.ModuleType("azureml.ai.monitoring.init")  # as the package itself says that collectors are there
    made.is_sdk_ready = lambda: True
    sys.modules["azureml.ai.monitoring.init"] = made

def run(data):
    rows = json.loads(data)["rows"]
    post("model_inputs", [{"age": row["age"], "email": row["email"]} for row in rows], "correlation-1")
    post("model_outputs", [{"score": row["age"] * 2} for row in rows], "correlation-1")
    post("notes", [{"note": "seen"}], "correlation-1")
    return len(rows)
"""
SUMS = """
import json
def init(): pass
def run(data):
    given = json.loads(data)["input_data"]
    rows = list(zip(*given.values())) if isinstance(given, dict) else given
    return {"total": [sum(row) for row in rows], "word": ["w%d" % len(row) for row in rows]}
"""
PLAIN = "def init(): pass\ndef run(data): return [1]\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "model").mkdir()
    (folder / "model" / "m.txt").write_text("m")

    def script(name: str, text: str, **more: object) -> protocol.Deployment:
        code = folder / name
        code.mkdir()
        (code / "score.py").write_text(text)
        return deployment(
            f"dep-{name}", folder / "model" / "m.txt", kind="script", code_dir=str(code), scoring_script="score.py",
            **more,
        )  # fmt: skip

    raw, plain = script("raw", RAW), script("plain", PLAIN, collect=protocol.Collect(headers=("x-customer",)))
    (folder / "plain" / "swagger2.json").write_text(json.dumps({"swagger": "2.0", "info": {"title": "mine"}}))
    collecting = script("collecting", COLLECTING, collect=protocol.Collect(drop=("email",)))
    gateway = Gateway(tmp_path_factory.mktemp("whole-home") / "home").start()
    try:
        gateway.want({
            "shop/raw": endpoint({"blue": raw}), "shop/collecting": endpoint({"blue": collecting}),
            "shop/sums": endpoint({"blue": script("sums", SUMS)}),
            "shop/plain": protocol.Endpoint({"blue": plain}, {"blue": 100}, token_key=tokens.public(SEED)),
        })  # fmt: skip
        yield gateway
        assert gateway.stop() == 0
    finally:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.kill()


@pytest.fixture
def client(served: Gateway) -> Iterator[Client]:
    client = served.client()
    yield client
    client.close()


def test_a_raw_script_gets_files_and_answers_with_bytes_status_and_headers(client: Client) -> None:
    auth = {"Authorization": f"Bearer {KEY}"}
    body = (
        b"--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n"
        b"Content-Type: image/jpeg\r\n\r\n\x01\x02\xff\r\n--xx--\r\n"
    )  # fmt: skip
    multipart = {**auth, "Content-Type": "multipart/form-data; boundary=xx"}
    answer = client.send("POST", "/shop/raw/score", body, multipart)
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"\xff\x02\x01", "image/jpg")
    empty = client.send("POST", "/shop/raw/score", b"--xx--\r\n", multipart)
    assert (empty.status, empty.body, empty.headers["x-why"]) == (422, b"no file", "empty")
    assert client.send("GET", "/shop/raw/score?q=hi", None, auth).json == {"asked": "hi"}
    assert client.send("GET", "/shop/plain/score", None, _token()).status == 405


def _token(expires: float = 60, seed: bytes = SEED) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.make(seed, 'ada', int(time.time() + expires))}"}


def test_a_token_is_good_until_it_ends_and_only_where_it_was_made_for(client: Client) -> None:
    sent = {"Content-Type": "application/json"}
    for _ in range(2):
        assert client.send("POST", "/shop/plain/score", b"{}", {**_token(), **sent}).status == 200
    for wrong in (_token(-1), _token(seed=b"8" * 32), {"Authorization": f"Bearer {KEY}"}):
        assert client.send("POST", "/shop/plain/score", b"{}", {**wrong, **sent}).status == 401
    changed = _token()["Authorization"]
    assert (
        client.send("POST", "/shop/plain/score", b"{}", {"Authorization": changed[:-3] + "AAA", **sent}).status == 401
    )
    assert client.send("POST", "/shop/raw/score", b"{}", {**_token(), **sent}).status == 401


def test_a_description_beside_the_script_is_the_endpoints(client: Client) -> None:
    answer = client.send("GET", "/shop/plain/swagger.json", None, _token())
    assert answer.json == {"swagger": "2.0", "info": {"title": "mine"}}


def test_named_headers_are_kept_with_the_request(served: Gateway, client: Client) -> None:
    answer = client.send(
        "POST", "/shop/plain/score", b"{}",
        {**_token(), "Content-Type": "application/json", "X-Customer": "c-7", "X-Other": "no"},
    )  # fmt: skip
    served.admin().flush()
    rows = log.read(served.home, "shop", "plain", "blue")
    kept = {row["request_id"]: row["header.x-customer"] for row in rows.iter_rows(named=True)}
    assert kept[answer.request_id] == "c-7"
    assert not any("other" in name or "authorization" in name for name in rows.columns)


def test_what_a_script_collects_is_its_log_under_the_correlation_id_without_dropped_columns(
    served: Gateway, client: Client
) -> None:
    answer = client.score("shop/collecting", {"rows": [{"age": 1, "email": "a@x"}, {"age": 2, "email": "b@x"}]})
    assert answer.json == 2
    served.admin().flush()
    rows = log.read(served.home, "shop", "collecting", "blue")
    assert rows["request_id"].to_list() == ["correlation-1"] * 2
    assert (rows["in.age"].to_list(), rows["out.prediction"].to_list()) == ([1, 2], [2, 4])
    assert "in.email" not in rows.columns
    files = list((served.home / "inference/shop/collecting/blue/collected/notes").rglob("*.jsonl"))
    event = json.loads(files[0].read_text())
    assert (event["type"], event["correlationid"]) == ("azureml.inference.notes", "correlation-1")
    assert event["data"] == [{"note": "seen"}]
    assert "2023/11/14/22" in str(files[0])


def test_the_open_inference_protocol_takes_tensors_as_json_and_as_bytes(client: Client) -> None:
    auth = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    assert client.send("GET", "/shop/sums/v2/health/live").json == {"live": True}
    assert client.send("GET", "/shop/sums/v2/health/ready").json == {"ready": True}
    assert client.send("GET", "/shop/sums/v2", None, auth).json["extensions"] == ["binary_tensor_data", "generate"]
    assert client.send("GET", "/shop/sums/v2/models/sums", None, auth).json["name"] == "sums"
    columns = {"id": "7", "inputs": [
        {"name": "a", "shape": [2], "datatype": "FP64", "data": [1, 2]},
        {"name": "b", "shape": [2, 1], "datatype": "INT64", "data": [[10], [20]]},
    ]}  # fmt: skip
    answer = client.send("POST", "/shop/sums/v2/models/sums/infer", json.dumps(columns).encode(), auth)
    assert answer.json == {"model_name": "sums", "model_version": "3", "id": "7", "outputs": [
        {"name": "total", "datatype": "INT64", "shape": [2], "data": [11, 22]},
        {"name": "word", "datatype": "BYTES", "shape": [2], "data": ["w2", "w2"]},
    ]}  # fmt: skip
    raw = struct.pack("<4f", 1, 2, 3, 4)
    head = json.dumps({
        "inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "parameters": {"binary_data_size": len(raw)}}],
        "outputs": [{"name": "total", "parameters": {"binary_data": True}}],
    }).encode()  # fmt: skip
    sent = {**auth, "Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    answer = client.send("POST", "/shop/sums/v2/models/blue/infer", head + raw, sent)
    length = int(answer.headers["inference-header-content-length"])
    assert json.loads(answer.body[:length])["outputs"][0]["parameters"] == {"binary_data_size": 16}
    assert struct.unpack("<2d", answer.body[length:]) == (3.0, 7.0)
    for method, path, headers, body, status in [
        ("POST", "models/sums/infer", {}, b"{}", 401), ("POST", "models/none/infer", auth, b"{}", 404),
        ("POST", "models/sums/infer", auth, b"{}", 400), ("GET", "models/sums/infer", auth, None, 405),
        ("POST", "models/sums/infer", {**auth, "Inference-Header-Content-Length": "99"}, b"{}", 400),
    ]:  # fmt: skip
        refused = client.send(method, f"/shop/sums/v2/{path}", body, headers)
        assert refused.status == status, refused.body
        assert isinstance(refused.json["error"], str)


def test_metrics_tell_queue_time_memory_and_processor_time_of_each_deployment(client: Client) -> None:
    client.score("shop/sums", {"input_data": [[1, 2]]})
    text = client.send("GET", "/metrics").body.decode()
    label = '{endpoint="shop/sums",deployment="blue",deployment_id="dep-sums"}'
    worker = label[:-1] + ',worker="0"}'
    values = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}
    assert values["doubleloop_instances" + label] == values["doubleloop_ready_instances" + label] == 1
    assert values["doubleloop_scorer_memory_bytes" + worker] > 1e6
    assert values["doubleloop_scorer_cpu_seconds_total" + worker] >= 0
    assert values["doubleloop_queue_seconds_count" + label] >= 1


def test_values_are_hashed_the_same_each_time_and_are_not_guessable(tmp_path: Path) -> None:
    from doubleloop.gateway import masks, records

    (tmp_path / "serving").mkdir()
    (tmp_path / "other" / "serving").mkdir(parents=True)
    collect = protocol.Collect(hash=("name", "id"), drop=("secret",))
    masker, elsewhere = masks.Masker(tmp_path, collect), masks.Masker(tmp_path / "other", collect)

    def kept(masker: masks.Masker, inputs: bytes, layout: str, names: list[str]) -> object:
        record = records.Record("r-1234567", 0, 0, 200, 1.0, 2, inputs=inputs)
        return json.loads(masker.record(record, layout, names).inputs or b"null")

    columns = b'[["ada","bob"],[7,7],[1.5,2.5],["x","y"]]'
    names = ["name", "id", "size", "secret"]
    once, again = (kept(masks.Masker(tmp_path, collect), columns, "columns", names) for _ in range(2))
    assert once == again
    assert isinstance(once, list)
    assert once[0][0] != "ada"
    assert once[1][0] == once[1][1] != 7
    assert (once[2], once[3]) == ([1.5, 2.5], None)
    assert kept(elsewhere, columns, "columns", names) != once
    body = b'{"input_data": {"columns": ["name", "secret"], "data": [["ada", "x"]]}}'
    assert kept(masker, body, "raw", []) == [{"name": once[0][0]}]
    assert kept(masker, b'{"deep": {"secret": 1, "keep": [{"name": "ada"}]}}', "raw", []) == {
        "deep": {"keep": [{"name": once[0][0]}]}
    }
    assert (tmp_path / "serving" / "mask.key").stat().st_mode & 0o077 == 0
