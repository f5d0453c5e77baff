"""The door to MLflow: who may pass, what is passed on, and that nothing is read in two ways."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_server import Served, running

from doubleloop.events import queries as events
from doubleloop.tracking import queries as origins


class Upstream:
    """Listens where MLflow would and tells what it was asked, to the byte."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.answer: tuple[int, list[tuple[bytes, bytes]], list[bytes]] = (200, [], [b"{}"])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if scope["path"].startswith("/api/3.0/mlflow/workspaces/"):  # the door sees to the place first
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})
            return
        self.seen.append(
            {
                "method": scope["method"], "target": scope["raw_path"].decode(), "path": scope["path"],
                "query": scope["query_string"].decode(), "body": body,
                "headers": {name.decode(): text.decode() for name, text in scope["headers"]},
            }
        )  # fmt: skip
        status, headers, chunks = self.answer
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})


@pytest.fixture
def upstream(served: Served) -> Iterator[Upstream]:
    listener = Upstream()
    socket = served.settings.mlflow_socket
    # A socket's path may have about 100 characters, and a test's folder is longer than that at times.
    short = Path(tempfile.mkdtemp(prefix="dl-")) / "s"
    with running(listener, uds=str(short)):
        socket.parent.mkdir(exist_ok=True)
        os.symlink(short, socket)
        yield listener


RUN = b'{"run": {"info": {"run_id": "r1"}}}'


def code(body: bytes) -> str:
    return str(json.loads(body)["error"]["code"])


def test_what_is_allowed_is_passed_on_to_the_byte(served: Served, upstream: Upstream) -> None:
    target = "/api/2.0/mlflow-artifacts/artifacts/0/a%20b%2Fc%3Fd%25/%C3%9F.bin"
    status, _, _ = served.raw("PUT", f"/mlflow/w/dev{target}?x=1&y=%20&y=2", body=b"\0\1\2", content_type="a/b")
    (seen,) = upstream.seen
    assert status == 200
    assert (seen["method"], seen["target"], seen["query"]) == ("PUT", target, "x=1&y=%20&y=2")
    assert (seen["body"], seen["headers"]["content-type"]) == (b"\0\1\2", "a/b")


def test_the_callers_secrets_stay_on_this_side(served: Served, upstream: Upstream) -> None:
    served.raw("GET", "/mlflow/api/2.0/mlflow/runs/get?run_id=1", cookie="doubleloop_session=x; other=y",
               x_forwarded_user="admin")  # fmt: skip
    headers = upstream.seen[0]["headers"]
    assert not {"authorization", "cookie"} & set(headers)
    assert served.tokens["ada"] not in str(upstream.seen)


@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer x", "Basic YWRhOng=", "bearer dl_none"])
def test_without_a_good_token_nobody_gets_through(served: Served, upstream: Upstream, token: str | None) -> None:
    for prefix in ("/mlflow", "/mlflow/w/dev", "/mlflow/w/nowhere"):
        headers = {"authorization": token} if token else {}
        status, _, body = served.raw("GET", f"{prefix}/api/2.0/mlflow/runs/get", None, **headers)
        assert (status, code(body)) == (401, "not_authenticated")
    assert upstream.seen == []


def test_who_has_no_right_gets_no_further_and_is_on_record(served: Served, upstream: Upstream) -> None:
    status, _, body = served.raw("POST", "/mlflow/w/prod/api/2.0/mlflow/runs/create", "ada", b"{}")
    assert (status, code(body)) == (403, "not_permitted")
    status, _, body = served.raw("GET", "/mlflow/w/dev/api/2.0/mlflow/runs/get", "nobody")
    assert (status, code(body)) == (403, "not_permitted")
    assert upstream.seen == []
    with served.contexts.read(_gate()) as ctx:
        denied = events.facts(ctx, types=["access.denied"])
    assert [(each.actor, each.subject) for each in denied] == [
        ("ada", "route:POST /mlflow/w/prod/api/2.0/mlflow/runs/create"),
        ("nobody", "route:GET /mlflow/w/dev/api/2.0/mlflow/runs/get"),
    ]


def _gate() -> Any:
    from doubleloop.api import requests

    return requests.GATE


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/graphql"), ("POST", "/ajax-api/3.0/jobs/"), ("POST", "/ajax-api/3.0/mlflow/assistant/message"),
        ("DELETE", "/api/2.0/mlflow/model-versions/delete"), ("POST", "/api/2.0/mlflow/webhooks"), ("GET", "/unknown"),
        ("POST", "/gateway/openai/v1/responses"), ("GET", "/%67raphql"), ("GET", "//health"),
    ],
)  # fmt: skip
def test_closed_routes_are_closed_for_everybody(served: Served, upstream: Upstream, method: str, target: str) -> None:
    for user in ("admin", "linus", "ada"):
        status, _, body = served.raw(method, f"/mlflow/w/dev{target}", user)
        assert (status, code(body)) == (403, "not_permitted")
        assert "is closed" in json.loads(body)["error"]["message"]
    assert upstream.seen == []


@pytest.mark.parametrize(
    "target",
    [
        # Read as an artifact here, as the registry by whoever takes the dots away.
        "/api/2.0/mlflow-artifacts/artifacts/../../mlflow/registered-models/delete",
        "/api/2.0/mlflow-artifacts/artifacts/%2e%2e/%2e%2e/mlflow/registered-models/delete",
        "/api/2.0/mlflow-artifacts/artifacts/..%2F..%2Fmlflow/registered-models/delete",
        "/api/2.0/mlflow-artifacts/artifacts/..%5C..%5Cx",
        "/api/2.0/mlflow-artifacts/artifacts/./x",
        "/api/2.0/mlflow-artifacts/artifacts/x%00y", "/api/2.0/mlflow-artifacts/artifacts/x%0d%0aHost:%20y",
        "/static-files/../graphql", "/../../api/v1/me",
    ],
)  # fmt: skip
def test_a_path_that_could_be_read_in_two_ways_is_refused(served: Served, upstream: Upstream, target: str) -> None:
    for method in ("GET", "DELETE"):
        status, _, body = served.raw(method, f"/mlflow/w/dev{target}", "admin")
        assert (status, code(body)) in ((400, "invalid_input"), (404, "not_found"))
    assert upstream.seen == []


def test_dots_inside_names_are_names(served: Served, upstream: Upstream) -> None:
    for name in ("..model", "a..b", "...", "v1.2/.hidden", "x%252e%252e"):
        status, _, _ = served.raw("GET", f"/mlflow/w/dev/api/2.0/mlflow-artifacts/artifacts/{name}")
        assert status == 200
    assert [each["path"].rpartition("artifacts/")[2] for each in upstream.seen] == [
        "..model", "a..b", "...", "v1.2/.hidden", "x%2e%2e",
    ]  # fmt: skip


def test_answers_come_back_as_they_are_and_in_pieces(served: Served, upstream: Upstream) -> None:
    piece = os.urandom(1 << 20)
    upstream.answer = (206, [(b"content-type", b"x/y"), (b"content-range", b"bytes 0-1/2")], [piece] * 8)
    status, headers, body = served.raw("GET", "/mlflow/api/2.0/mlflow-artifacts/artifacts/big")
    assert (status, headers["content-type"], headers["content-range"]) == (206, "x/y", "bytes 0-1/2")
    assert body == piece * 8


def test_mlflows_own_refusals_come_through(served: Served, upstream: Upstream) -> None:
    upstream.answer = (404, [(b"content-type", b"application/json")], [b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}'])
    status, _, body = served.raw("GET", "/mlflow/api/2.0/mlflow/runs/get?run_id=x")
    assert (status, json.loads(body)) == (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})
    upstream.answer = (500, [], [b"oops"])
    assert served.raw("POST", "/mlflow/api/2.0/mlflow/runs/create", body=b"{}")[0] == 500
    with served.contexts.read(_gate()) as ctx:
        assert origins.origin_of_run(ctx, "r1") is None


def test_a_run_is_noted_with_its_author_workspace_and_job(served: Served, upstream: Upstream) -> None:
    upstream.answer = (200, [(b"content-type", b"application/json")], [RUN])
    status, _, body = served.raw("POST", "/mlflow/w/dev/api/2.0/mlflow/runs/create", body=b"{}")
    assert (status, body) == (200, RUN)
    with served.contexts.read(_gate()) as ctx:
        found = origins.origin_of_run(ctx, "r1")
    assert found and (found.actor, found.workspace, found.job, found.step) == ("ada", "dev", None, None)


def test_what_a_caller_says_of_themselves_does_not_count(served: Served, upstream: Upstream) -> None:
    upstream.answer = (200, [], [RUN.replace(b"r1", b"r2")])
    body = json.dumps({"user_id": "grace", "tags": [{"key": "mlflow.user", "value": "grace"}]}).encode()
    served.raw("POST", "/mlflow/w/dev/api/2.0/mlflow/runs/create", body=body, x_user="grace")
    with served.contexts.read(_gate()) as ctx:
        found = origins.origin_of_run(ctx, "r2")
    assert found and found.actor == "ada"


def test_an_answer_that_cannot_be_read_does_not_undo_what_mlflow_did(served: Served, upstream: Upstream) -> None:
    upstream.answer = (200, [], [b"not json"])
    status, _, body = served.raw("POST", "/mlflow/w/dev/api/2.0/mlflow/runs/create", body=b"{}")
    assert (status, body) == (200, b"not json")


def test_without_an_mlflow_the_answer_is_503_and_when_to_ask_again(served: Served) -> None:
    status, headers, body = served.raw("GET", "/mlflow/api/2.0/mlflow/runs/get")
    assert (status, code(body), headers["retry-after"]) == (503, "unavailable", "2")


def test_a_workspace_that_is_not_there_is_404(served: Served, upstream: Upstream) -> None:
    status, _, body = served.raw("GET", "/mlflow/w/nowhere/api/2.0/mlflow/runs/get")
    assert (status, code(body)) == (404, "not_found")
    for path in ("/mlflow/w/", "/mlflow/w//health", "/mlflow/w/..%2Fdev/health"):
        assert served.raw("GET", path)[0] in (400, 403, 404)
    assert upstream.seen == []


def test_where_a_traces_files_are_is_not_the_callers_say(served: Served, upstream: Upstream) -> None:
    """MLflow's server reads from where these tags point, its own clients alone refuse to set them."""
    base = "/mlflow/w/dev/api/{}.0/mlflow/traces"
    for method, target, body in (
        ("PATCH", base.format(2) + "/tr-1/tags", {"key": "mlflow.artifactLocation", "value": "file:///etc"}),
        ("PATCH", base.format(3) + "/tr-1/tags", {"key": "mlflow.trace.spansLocation", "value": "x"}),
        ("POST", base.format(3), {"trace": {"trace_info": {"tags": {"mlflow.artifactLocation": "file:///etc"}}}}),
        ("POST", base.format(2), {"tags": [{"key": "mlflow.trace.archiveLocation", "value": "x"}]}),
        ("PATCH", base.format(2) + "/tr-1", {"tags": [{"key": "mlflow.artifactLocation", "value": "x"}]}),
    ):
        status, _, answer = served.raw(method, target, body=json.dumps(body).encode())
        assert (status, code(answer)) == (403, "not_permitted"), target
    twice = b'{"key": "mlflow.artifactLocation", "value": "file:///etc", "key": "mine"}'
    assert served.raw("PATCH", base.format(2) + "/tr-1/tags", body=twice)[0] == 200
    assert [json.loads(each["body"]) for each in upstream.seen] == [{"key": "mine", "value": "file:///etc"}]
    assert b"artifactLocation" not in upstream.seen[0]["body"]  # the other reading of equal keys is not passed on
    assert served.raw("POST", base.format(3), body=b"[" * 100_000)[0] == 400


def test_what_is_changed_through_mlflow_is_on_record_and_what_runs_log_is_not(
    served: Served, upstream: Upstream
) -> None:
    base = "/mlflow/w/dev/api/2.0/mlflow/"
    asked = [
        ("POST", "runs/delete", {"run_id": "r1"}),
        ("POST", "experiments/update", {"experiment_id": "7", "new_name": "n"}),
        ("POST", "registered-models/alias", {"name": "bikes", "alias": "best", "version": "3"}),
        ("DELETE", "registered-models/alias", {"name": "bikes", "alias": "best"}),
        ("PATCH", "model-versions/update", {"name": "bikes", "version": "3", "description": "d" * 900}),
        ("POST", "model-versions/transition-stage", {"name": "bikes", "version": "3", "stage": "Production"}),
    ]  # fmt: skip
    for method, path, body in asked:
        assert served.raw(method, base + path, body=json.dumps(body).encode())[0] == 200, path
    # An alias is followed: the version that it is for is looked up, with a request that has no body.
    assert [json.loads(each["body"]) for each in upstream.seen if each["body"]] == [body for _, _, body in asked]
    for path in ("runs/log-metric", "runs/log-batch", "runs/set-tag", "runs/update", "runs/search"):
        assert served.raw("POST", base + path, body=b'{"run_id": "r1"}')[0] == 200
    upstream.answer = (404, [], [b"{}"])
    assert served.raw("POST", base + "runs/delete", body=b'{"run_id": "none"}')[0] == 404
    assert served.raw("POST", base + "runs/delete", body=b"[]")[0] == 400
    with served.contexts.read(_gate()) as ctx:
        noted = events.facts(ctx, types=["tracking.changed"])
    assert [(each.actor, each.workspace, each.subject) for each in noted] == [
        ("ada", "dev", f"mlflow:{path}") for _, path, _ in asked
    ]
    assert noted[2].data["alias"] == "best"
    assert len(noted[4].data["description"]) < 600
