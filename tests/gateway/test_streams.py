"""Answers piece by piece: a real gateway, a real generator in its scorer, real HTTP, and what is killed."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mlflow
import pandas
import pytest
import stream_model
from gateway_harness import KEY, Gateway, deployment, endpoint, wait_for
from prometheus_client import parser

from doubleloop.base import errors
from doubleloop.gateway import checkers, limits, log, payloads, streaming, usage
from doubleloop.scorer import answers, mlflow_model

AT = "shop/words"
ASKED = {"input_data": {"columns": ["text"], "data": [["the g"]]}}


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generator") / "model"
    example = pandas.DataFrame({"text": ["the "]})
    signature = mlflow.models.infer_signature(example, ["answer"], params=stream_model.PARAMS)
    mlflow.pyfunc.save_model(
        str(folder), python_model=stream_model.__file__, signature=signature, pip_requirements=["mlflow"],
        streamable=True,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, generator: Path) -> Iterator[Gateway]:
    gateway = Gateway(
        tmp_path_factory.mktemp("streams") / "home",
        {"write_timeout": 1.0, "max_stream_bytes": 40_000_000, "drain_timeout": 3.0, "stuck_after": 0.5},
    )
    try:
        blue = deployment("dep-1", generator, request_timeout_ms=3_000, max_queue_wait_ms=20_000)
        gateway.start().want({AT: endpoint({"blue": blue})})
        yield gateway
    finally:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.kill()


@dataclass
class Events:
    """What came: the head, and each event as (name, data)."""

    status: int
    headers: dict[str, str]
    found: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(data for name, data in self.found if name == "message")

    @property
    def error(self) -> dict[str, Any]:
        assert self.found[-1][0] == "error", self.found
        return dict(self.found[-1][1]["error"])


@contextlib.contextmanager
def asking(gateway: Gateway, body: Any, path: str = f"/{AT}/score", key: str = KEY, **more: str) -> Iterator[Any]:
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}", **more}
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    try:
        connection.request("POST", path, json.dumps(body), headers)
        yield connection.getresponse()
    finally:
        connection.close()


def events(response: Any) -> Iterator[tuple[str, Any]]:
    """As https://html.spec.whatwg.org/multipage/server-sent-events.html says they are read."""
    name, data = "message", ""
    for line in iter(response.readline, b""):
        field_, _, value = line.decode().rstrip("\n").partition(": ")
        if field_ == "event":
            name = value
        elif field_ == "data":
            data = value
        elif not field_:
            yield name, data if data == "[DONE]" else json.loads(data)
            name, data = "message", ""


def streamed(gateway: Gateway, body: Any = ASKED, path: str = f"/{AT}/score", **params: Any) -> Events:
    sent = {**body, "stream": True, **({"params": params} if params else {})} if path.endswith("score") else body
    with asking(gateway, sent, path) as response:
        headers = {name.lower(): value for name, value in response.getheaders()}
        if not headers["content-type"].startswith("text/event-stream"):
            return Events(response.status, headers, [("error", json.loads(response.read()))])
        return Events(response.status, headers, list(events(response)))


def counted(gateway: Gateway, name: str) -> float:
    text = gateway.client().send("GET", "/metrics").body.decode()
    samples = [each for family in parser.text_string_to_metric_families(text) for each in family.samples]
    return sum(each.value for each in samples if each.name == name)


def row(gateway: Gateway, request_id: str) -> dict[str, Any]:
    gateway.admin().flush()
    found = log.read(gateway.home, "shop", "words").filter(request_id=request_id)
    assert found.height >= 1
    return found.to_dicts()[0]


def test_the_pieces_are_those_of_the_whole_answer_however_they_are_asked_for(served: Gateway) -> None:
    client = served.client()
    whole = client.score(AT, ASKED).json[0]
    assert len(whole) == 40
    found = streamed(served)
    assert (found.status, found.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert found.headers["azureml-model-deployment"] == "blue"
    assert [data for name, data in found.found if name == "message"] == list(whole)
    assert found.found[-1] == ("end", "[DONE]")
    inside = {**ASKED, "params": {"stream": True, "max_new_tokens": 5}}
    for body, accept in (
        (ASKED, "text/event-stream"),
        (ASKED, "application/json;q=0.5, text/event-stream"),
        (inside, "*/*"),
    ):
        with asking(served, body, accept=accept) as response:
            assert response.getheader("content-type").startswith("text/event-stream")
            count = 5 if body is inside else 40
            assert list(events(response)) == [*(("message", each) for each in whole[:count]), ("end", "[DONE]")]
    for body, accept in (
        (ASKED, "application/json, text/event-stream"),
        ({**ASKED, "stream": False}, "text/event-stream"),
    ):
        assert client.score(AT, body, accept=accept).json == [whole]
    logged = row(served, found.headers["x-request-id"])
    assert (logged["out.prediction"], logged["pieces"], logged["status"], logged["error"]) == (whole, 40, 200, None)
    assert logged["in.text"] == "the g"
    assert 0 < logged["time_to_first_piece_ms"] <= logged["latency_ms"]
    assert counted(served, "doubleloop_time_to_first_token_seconds_count") >= 4
    assert counted(served, "doubleloop_streamed_pieces_total") >= 125
    chat = streamed(served, chat=True)
    assert "".join(each["choices"][0]["delta"]["content"] for _, each in chat.found[:-1]) == whole
    assert row(served, chat.headers["x-request-id"])["out.prediction"] == whole


def test_the_connection_goes_on_after_a_stream_and_old_clients_read_to_its_end(served: Gateway) -> None:
    whole = served.client().score(AT, ASKED).json[0]
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    body = json.dumps({**ASKED, "stream": True, "params": {"max_new_tokens": 3}})
    for _ in range(2):
        connection.request("POST", f"/{AT}/v1/chat/completions", body, headers)  # as score, for clients of OpenAI's
        sock = connection.sock
        response = connection.getresponse()
        assert [data for _, data in events(response)] == [*whole[:3], "[DONE]"]
        assert connection.sock is sock
    connection.close()
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as old:
        head = "".join(f"{name}: {value}\r\n" for name, value in {**headers, "content-length": len(body)}.items())
        old.sendall(f"POST /{AT}/score HTTP/1.0\r\n{head}\r\n{body}".encode())
        answer = b"".join(iter(lambda: old.recv(65536), b""))
    head, _, events_ = answer.decode().partition("\r\n\r\n")
    assert "transfer-encoding" not in head and "connection: close" in head
    assert events_ == "".join(f'data: "{each}"\n\n' for each in whole[:3]) + "event: end\ndata: [DONE]\n\n"


def test_the_generate_extension_of_the_open_inference_protocol(served: Gateway) -> None:
    whole = served.client().score(AT, ASKED).json[0]
    body = {"text_input": "the g", "parameters": {"max_new_tokens": 6, "stream": True}, "id": "mine"}
    told = {"model_name": "words", "model_version": "3", "id": "mine"}
    with asking(served, body, f"/{AT}/v2/models/words/generate") as response:
        assert json.loads(response.read()) == {**told, "text_output": whole[:6]}
    found = streamed(served, body, f"/{AT}/v2/models/words/generate_stream")
    assert [data for _, data in found.found] == [{**told, "text_output": each} for each in (*whole[:6], "")]
    assert found.found[-1][0] == "end"
    broken = streamed(served, {"text_input": "the g", "fail_after": 2}, f"/{AT}/v2/models/words/generate_stream")
    assert broken.found[-1][1] == {
        "error": "the model raised ValueError: no letter follows '" + ("the g" + whole[:2])[-3:]
        + "' (the deployment's log has the traceback)"
    }  # fmt: skip
    for wrong, said in (({"text_input": 3}, "a text"), ({"text_input": "a", "temperature": 1}, "unknown parameter")):
        refused = streamed(served, wrong, f"/{AT}/v2/models/words/generate_stream")
        assert (refused.status, said in refused.found[0][1]["error"]) == (400, True)
    assert "generate" in served.client().send("GET", f"/{AT}/v2").json["extensions"]
    described = served.client().send("GET", f"/{AT}/swagger.json", headers={"Authorization": f"Bearer {KEY}"}).json
    score = described["paths"][f"/{AT}/score"]["post"]
    assert "text/event-stream" in score["responses"]["200"]["content"]
    assert score["requestBody"]["content"]["application/json"]["schema"]["properties"]["stream"]["type"] == "boolean"


@pytest.mark.slow
def test_what_is_wrong_before_the_first_piece_is_an_ordinary_error(served: Gateway) -> None:
    with asking(served, {**ASKED, "stream": True}, key="wrong") as response:
        assert response.status == 401
    two = {"input_data": [["a"], ["b"]]}
    for body, params, status in (
        ({"input_data": [[1]]}, {}, 400), (two, {}, 400), (ASKED, {"seed": "x"}, 400), (ASKED, {"fail_after": 0}, 500),
        (ASKED, {"pause": 30.0}, 504),
    ):  # fmt: skip
        found = streamed(served, body, **params)
        assert (found.status, found.headers["content-type"]) == (status, "application/json")
        assert found.error["request_id"] == found.headers["x-request-id"]
        assert row(served, found.headers["x-request-id"])["status"] == status
    with asking(served, {**ASKED, "stream": "yes"}) as response:
        assert json.loads(response.read())["error"]["message"] == "'stream' is string \"yes\", not true or false"
    wait_for(lambda: streamed(served).status == 200, "the scorer that slept to be stopped")


def test_a_failure_in_the_middle_is_an_error_event(served: Gateway) -> None:
    before = counted(served, "doubleloop_requests_total")
    found = streamed(served, fail_after=3)
    assert (found.status, len(found.found)) == (200, 4)
    assert found.error["code"] == "model_raised"
    assert found.error["message"].startswith("the model raised ValueError: no letter follows")
    assert found.error["request_id"] == found.headers["x-request-id"]
    logged = row(served, found.headers["x-request-id"])
    assert (logged["status"], logged["pieces"], logged["error"].partition(":")[0]) == (500, 3, "model_raised")
    assert counted(served, "doubleloop_requests_total") == before + 1
    slow = streamed(served, max_new_tokens=3, pause=0.01)
    assert slow.found[-1] == ("end", "[DONE]")


@pytest.mark.slow
def test_a_scorer_that_is_killed_in_the_middle_is_an_error_event_and_its_queue_is_answered(served: Gateway) -> None:
    found = streamed(served, die_after=2)
    assert (len(found.found), found.error["code"]) == (3, "scorer_died")
    assert row(served, found.headers["x-request-id"])["status"] == 502
    wait_for(lambda: served.client().score(AT, ASKED).status == 200, "another scorer")
    with asking(served, {**ASKED, "stream": True, "params": {"pause": 0.05, "max_new_tokens": 1000}}) as response:
        coming = events(response)
        assert next(coming)[0] == "message"
        for pid in served.scorers():
            os.kill(pid, signal.SIGKILL)
        assert list(coming)[-1][1]["error"]["code"] == "scorer_died"
    wait_for(lambda: served.client().score(AT, ASKED).status == 200, "another scorer")


def test_a_caller_that_goes_away_stops_the_model(served: Gateway, tmp_path: Path) -> None:
    note = tmp_path / "letters"
    before = counted(served, "doubleloop_cancelled_total")
    with asking(
        served, {**ASKED, "stream": True, "params": {"pause": 0.02, "max_new_tokens": 100_000, "note": str(note)}}
    ) as response:
        request_id = response.getheader("x-request-id")
        next(events(response))
    wait_for(lambda: note.read_text().endswith("!"), "the generator to be closed")
    assert len(note.read_text()) < 1_000
    assert counted(served, "doubleloop_cancelled_total") == before + 1
    assert served.client().score(AT, ASKED).status == 200
    logged = row(served, request_id)
    assert (logged["status"], logged["error"].partition(":")[0]) == (499, "caller_left")


def test_a_reader_that_is_slow_holds_the_model_back_and_is_cut_off(served: Gateway, tmp_path: Path) -> None:
    """32 MB that nobody reads: the model makes no more than what the sockets and the window hold."""
    note = tmp_path / "letters"
    params = {"wide": 200_000, "max_new_tokens": 160, "note": str(note)}
    assert len(streamed(served, **params).text) == 160 * 200_000
    note.unlink()
    pid = served.process.pid  # type: ignore[union-attr]
    held = usage.of(pid).memory
    body = json.dumps({**ASKED, "stream": True, "params": params}).encode()
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", served.port))
        reader.sendall(
            f"POST /{AT}/score HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        wait_for(lambda: note.exists() and note.read_text().endswith("!"), "the slow reader to be cut off")
    assert len(note.read_text()) < 60
    assert usage.of(pid).memory - held < 16_000_000
    assert served.client().score(AT, ASKED).status == 200


@pytest.mark.slow
def test_a_reader_that_takes_longer_than_its_time_but_reads_on_gets_all(served: Gateway) -> None:
    """12 MB at 4 MB a second, whole and streamed, where a caller has one second to read some of it."""
    for more in ({}, {"stream": True}):
        pause, found = threading.Event(), 0
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
        with socket.socket() as connection.sock:
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # the system takes little ahead
            connection.sock.connect(("127.0.0.1", served.port))
            body = {**ASKED, **more, "params": {"wide": 100_000, "max_new_tokens": 120}}
            headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
            connection.request("POST", f"/{AT}/score", json.dumps(body), headers)
            response = connection.getresponse()
            while part := response.read(400_000):
                found += len(part)
                pause.wait(0.1)
        assert found > 12_000_000


def test_copies_are_made_as_streams_and_samples_kept_whole(served: Gateway, generator: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    mlflow.pyfunc.save_model(
        str(plain), python_model=stream_model.__file__, pip_requirements=["mlflow"],
        signature=mlflow.models.infer_signature(pandas.DataFrame({"text": ["a"]}), ["b"], params=stream_model.PARAMS),
        streamable=False,
    )  # fmt: skip
    wanted = {name: deployment(f"dep-{name}", folder, max_queue_wait_ms=20_000)
              for name, folder in (("blue", generator), ("green", generator), ("plain", plain))}  # fmt: skip
    wanted["blue"] = replace(wanted["blue"], id="dep-1")
    served.want({AT: endpoint(wanted, {"blue": 100}, mirror_traffic={"green": 50, "plain": 50})})
    by = {}
    for _ in range(60):
        found = streamed(served, max_new_tokens=7)
        served.admin().flush()
        rows = log.read(served.home, "shop", "words", "green"), log.read(served.home, "shop", "words", "plain")
        by = {each["deployment"][0]: each.to_dicts()[0] for each in rows if each.height}
        if len(by) == 2:
            break
    assert {name: (each["out.prediction"], each["mirrored"], each["status"]) for name, each in by.items()} == {
        name: (found.text, True, 200) for name in ("green", "plain")
    }
    assert (by["green"]["pieces"], by["plain"].get("pieces")) == (7, None)
    for accept, body, status in (
        ("text/event-stream", ASKED, 406), ("*/*", {**ASKED, "stream": True}, 400),
        ("text/event-stream, */*", ASKED, 200),
    ):  # fmt: skip
        answer = served.client().score(AT, body, azureml_model_deployment="plain", accept=accept)
        assert answer.status == status
        assert status == 200 or "no predict_stream" in answer.error["message"]


CHAT = """
import mlflow
from mlflow.types import llm

class Loud(mlflow.pyfunc.ChatModel):
    def predict(self, context, messages, params):
        said = llm.ChatMessage(role="assistant", content=messages[-1].content.upper())
        return llm.ChatCompletionResponse(choices=[llm.ChatChoice(message=said)])

    def predict_stream(self, context, messages, params):
        for word in messages[-1].content.upper().split():
            delta = llm.ChatChoiceDelta(role="assistant", content=word * (params.n or 1))
            yield llm.ChatCompletionChunk(choices=[llm.ChatChunkChoice(delta=delta)])

mlflow.models.set_model(Loud())
"""


def test_mlflows_chat_models_take_the_bodies_of_openais_clients(tmp_path: Path, generator: Path) -> None:
    (tmp_path / "chat.py").write_text(CHAT)
    mlflow.pyfunc.save_model(
        str(tmp_path / "chat"), python_model=str(tmp_path / "chat.py"), pip_requirements=["mlflow"]
    )
    model = mlflow_model.MlflowModel({"model_dir": str(tmp_path / "chat")})
    description = model.describe()
    assert description["streams"]
    checker = checkers.contract(deployment("dep-1", tmp_path / "chat"), description).checker
    assert checker is not None

    def checked(**more: Any) -> Any:
        body = {"model": "any", "messages": [{"role": "user", "content": "go on"}], **more}
        return checker.check(payloads.parse(json.dumps(body).encode(), limits.Limits()))

    asked = checked(stream=True, n=2)
    assert (asked.rows, asked.azure, asked.header.pop("stream")) == (1, True, True)
    pieces = [answers.encode(each) for each in model.predict_stream({**asked.header, "input": asked.value})]
    assert [json.loads(each)["choices"][0]["delta"]["content"] for each in pieces] == ["GOGO", "ONON"]
    assert streaming.joined(pieces) == b'["GOGOONON"]'
    whole = checked()
    assert "stream" not in whole.header
    said = json.loads(answers.encode(model.predict({**whole.header, "input": whole.value})))
    assert said["choices"][0]["message"]["content"] == "GO ON"
    with pytest.raises(errors.InvalidInput, match="unknown parameter 'colour'"):
        checked(colour="red")
    words = checkers.contract(
        deployment("dep-2", generator), mlflow_model.MlflowModel({"model_dir": str(generator)}).describe()
    )
    with pytest.raises(errors.InvalidInput, match="no input data"):
        assert words.checker is not None
        words.checker.check(payloads.parse(b'{"prompt": "the"}', limits.Limits()))


@pytest.mark.slow
def test_a_stop_waits_for_streams_and_ends_with_an_error_those_that_are_too_long(served: Gateway) -> None:
    asked = [{**ASKED, "stream": True, "params": {"pause": 0.1, "max_new_tokens": count}} for count in (12, 1000)]
    with asking(served, asked[0], azureml_model_deployment="blue") as short:
        coming = events(short)
        next(coming)
        with asking(served, asked[1], azureml_model_deployment="green") as long:
            following = events(long)
            next(following)
            served.process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
            assert [name for name, _ in coming] == ["message"] * 11 + ["end"]
            name, data = list(following)[-1]
    assert (name, data["error"]["code"]) == ("error", "unavailable")
    assert served.process is not None
    assert served.process.wait(60) == 0
    rows = log.read(served.home, "shop", "words")
    assert rows.filter(request_id=long.getheader("x-request-id"))["status"].to_list() == [503]
