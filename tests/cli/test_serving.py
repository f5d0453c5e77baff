"""Endpoints and deployments from the command line."""

from __future__ import annotations

import json
from typing import Any

from small_server import Reply

from doubleloop.base import errors
from doubleloop.specs import documents

DEPLOYMENT = """$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json
name: blue
endpoint_name: bikes
model: azureml:bikes@latest
instance_type: Standard_DS3_v2
instance_count: 1
"""
AT = "workspaces/dev/online-endpoints"


def deploying(server: Any, *statuses: str, **more: Any) -> None:
    server.on(
        "POST", f"{AT}/bikes/deployments", lambda seen: {"id": seen.json["id"], "name": "blue", "status": "preparing"}
    )

    def look(status: str) -> Any:
        return lambda _: {"id": server.requests("POST", f"{AT}/bikes/deployments")[-1].json["id"], "name": "blue",
                          "status": status, **more}  # fmt: skip

    server.on("GET", f"{AT}/bikes/deployments/blue", *[look(status) for status in statuses])


def test_an_endpoint_is_made_of_a_file_or_of_flags(terminal: Any, server: Any) -> None:
    server.on("POST", AT, lambda seen: {"name": seen.json["document"]["spec"]["name"]})
    assert terminal("online-endpoint", "create", "-n", "bikes", "--auth-mode", "key").json == {"name": "bikes"}
    file = terminal.file("e.yml", "name: taxi\nauth_mode: key\n")
    assert terminal("online-endpoint", "create", "-f", file, "-n", "other").json == {"name": "other"}


def test_a_deployment_is_waited_for_and_given_all_traffic(terminal: Any, server: Any) -> None:
    deploying(server, "preparing", "starting", "ready")
    server.on("PUT", f"{AT}/bikes/traffic", {"name": "bikes"})
    done = terminal("online-deployment", "create", "-f", terminal.file("d.yml", DEPLOYMENT), "--all-traffic")
    assert done.code == 0, done.err
    assert done.json["status"] == "ready"
    assert server.requests("PUT", f"{AT}/bikes/traffic")[0].json["traffic"] == {"blue": 100}
    assert "preparing" in done.err


def test_without_all_traffic_a_new_deployment_gets_none(terminal: Any, server: Any) -> None:
    deploying(server, "ready")
    done = terminal(
        "online-deployment", "create", "-f", terminal.file("d.yml", DEPLOYMENT), "-n", "blue", "-e", "bikes"
    )
    assert done.code == 0, done.err
    assert not server.requests("PUT", ".*traffic")


def test_no_wait_does_not_wait(terminal: Any, server: Any) -> None:
    deploying(server, "preparing")
    done = terminal("online-deployment", "create", "-f", terminal.file("d.yml", DEPLOYMENT), "--no-wait")
    assert done.json["status"] == "preparing"
    assert not server.requests("GET", ".*")


def test_a_deployment_that_fails_says_why_and_where_to_look(terminal: Any, server: Any) -> None:
    deploying(server, "starting", "failed", error={"code": "failed", "message": "score.py has no init()"})
    done = terminal("online-deployment", "create", "-f", terminal.file("d.yml", DEPLOYMENT), "--all-traffic")
    assert done.code == 1
    assert done.err.endswith(
        "error: Deployment blue of bikes is failed: score.py has no init()\n"
        "  cure: See `doubleloop online-deployment get-logs -e bikes -n blue`.\n"
    )
    assert not server.requests("PUT", ".*traffic")


def test_a_deployment_that_another_one_replaces_is_a_conflict(terminal: Any, server: Any) -> None:
    deploying(server, "ready")
    server.on("GET", f"{AT}/bikes/deployments/blue", {"id": "somebody-elses", "status": "ready"})
    assert terminal("online-deployment", "create", "-f", terminal.file("d.yml", DEPLOYMENT)).code == 5


def test_traffic_is_written_as_in_az(terminal: Any, server: Any) -> None:
    server.on("PUT", f"{AT}/bikes/traffic", lambda seen: seen.json)
    server.on("GET", f"{AT}/bikes", {"name": "bikes", "traffic": {"blue": 100}})
    for words in (
        ["--traffic", "blue=90 green=10"],
        ["--traffic", "blue=90", "green=10"],
        ["--traffic", "blue=90%,green=10"],
    ):
        done = terminal("online-endpoint", "update", "-n", "bikes", *words)
        assert done.json == {"traffic": {"blue": 90, "green": 10}}, done.err
    done = terminal("online-endpoint", "update", "-n", "bikes", "--mirror-traffic", "green=10")
    assert done.json == {"traffic": {"blue": 100}, "mirror_traffic": {"green": 10}}
    assert "not a share in whole percent" in terminal("online-endpoint", "update", "-n", "b", "--traffic", "blue=x").err
    twice = terminal("online-endpoint", "update", "-n", "b", "--traffic", "blue=100 blue=0")
    assert "'blue' is given twice" in twice.err
    assert "nothing to change" in terminal("online-endpoint", "update", "-n", "bikes").err


def test_an_answer_is_printed_and_its_request_id_told(terminal: Any, server: Any) -> None:
    def answer(seen: Any) -> Reply:
        served = seen.headers.get("azureml-model-deployment", "blue")
        return Reply(
            200, seen.json["input_data"]["data"], {"x-request-id": "req-1", "azureml-model-deployment": served}
        )

    server.on("POST", f"{AT}/bikes/invoke", answer)
    file = terminal.file("r.json", '{"input_data": {"columns": ["a"], "data": [[1.5]]}}')
    done = terminal("online-endpoint", "invoke", "-n", "bikes", "--request-file", file, "-o", "json")
    assert done.json == [[1.5]]
    assert done.err == "Request req-1 was answered by blue.\n"
    done = terminal(
        "online-endpoint", "invoke", "-n", "bikes", "-r", "-", "-d", "green", stdin=(terminal.folder / file).read_text()
    )
    assert "by green" in done.err


def test_a_streamed_answer_is_printed_as_it_comes_and_ends_whole_or_with_an_error(terminal: Any, server: Any) -> None:
    def events(*found: str) -> Reply:
        headers = {"content-type": "text/event-stream; charset=utf-8", "x-request-id": "req-1"}
        return Reply(200, "".join(found).encode(), headers)

    pieces = ('data: "Once upon"\n\n', ": a comment\n\n", 'data: " a\\ntime"\n\n', 'data: {"delta": 1}\n\n')
    failed = errors.Failed("the model raised ValueError: no more", details={"a": 1})
    server.on(
        "POST", f"{AT}/words/invoke", events(*pieces, "event: end\ndata: [DONE]\n\n"),
        events(*pieces[:3], "event: end\ndata: [DONE]\n\n"),
        events(pieces[0], f"event: error\ndata: {json.dumps(failed.to_dict())}\n\n"), events(pieces[0], "data: cut"),
        Reply(406, errors.InvalidInput("the model does not stream its answers").to_dict()),
    )  # fmt: skip
    asked = ("online-endpoint", "invoke", "-n", "words", "--stream", "-d", "blue", "-r")
    asked = (*asked, terminal.file("r.json", '{"input_data": [["Once"]]}'))
    done = terminal(*asked, "-o", "json")
    assert [json.loads(line) for line in done.out.splitlines()] == ["Once upon", " a\ntime", {"delta": 1}]
    assert done.err == "Request req-1 is answered.\n"
    assert terminal(*asked).out == "Once upon a\ntime\n"
    for out, code, said in (
        ("Once upon\n", 1, "no more"), ("Once upon\n", 6, "broke off before its end"), ("", 2, "does not stream"),
    ):  # fmt: skip
        done = terminal(*asked)
        assert (done.out, done.code, said in done.err) == (out, code, True)
    seen = server.requests("POST", ".*invoke")
    assert (len(seen), seen[0].headers["accept"]) == (5, "text/event-stream")
    assert seen[0].headers["azureml-model-deployment"] == "blue"


def test_a_request_the_model_refuses_is_an_error_with_its_words(terminal: Any, server: Any) -> None:
    file = terminal.file("r.json", "{}")
    refusal = errors.InvalidInput("column 3 is 'temp', not 'hour'", cure="Send the columns in the signature's order.")
    server.on("POST", f"{AT}/bikes/invoke", Reply(400, refusal.to_dict()), Reply(424, b"score.py raised KeyError: 'x'"),
              Reply(503, b"no deployment takes traffic", {"x-request-id": "req-9"}))  # fmt: skip
    done = terminal("online-endpoint", "invoke", "-n", "bikes", "-r", file)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: column 3 is 'temp', not 'hour'\n  cure: Send")
    done = terminal("online-endpoint", "invoke", "-n", "bikes", "-r", file)
    assert (done.code, "answered 424: score.py raised KeyError: 'x'" in done.err) == (2, True)
    done = terminal("online-endpoint", "invoke", "-n", "bikes", "-r", file)
    assert done.code == 6
    assert "cure: The request id is req-9." in done.err
    assert len(server.requests("POST", ".*invoke")) == 3  # never sent twice
    assert terminal("online-endpoint", "invoke", "-n", "bikes", "-r", "no.json").code == 2


def test_keys_have_azs_names(terminal: Any, server: Any) -> None:
    server.on("GET", f"{AT}/bikes/keys", {"primaryKey": "k1", "secondaryKey": "k2"})
    assert (
        terminal("online-endpoint", "get-credentials", "-n", "bikes", "-o", "tsv", "--query", "primaryKey").out
        == "k1\n"
    )
    server.on("POST", f"{AT}/bikes/keys", lambda seen: seen.json)
    assert terminal("online-endpoint", "regenerate-keys", "-n", "bikes", "--key-type", "secondary").json == {
        "key_type": "secondary"
    }


def test_deleting_needs_a_yes(terminal: Any, server: Any) -> None:
    server.on("DELETE", f"{AT}/bikes", {})
    server.on("DELETE", f"{AT}/bikes/deployments/blue", {})
    done = terminal("online-endpoint", "delete", "-n", "bikes")
    assert (done.code, "Add --yes." in done.err) == (2, True)
    assert server.seen == []
    assert terminal("online-endpoint", "delete", "-n", "bikes", "--yes", "--no-wait").code == 0
    assert terminal("online-deployment", "delete", "-n", "blue", "-e", "bikes", "-y").out == ""
    assert [seen.method for seen in server.seen] == ["DELETE", "DELETE"]


def test_logs_of_a_deployment_are_text(terminal: Any, server: Any) -> None:
    server.on(
        "GET",
        f"{AT}/bikes/deployments/blue/logs",
        lambda seen: Reply(200, b"loaded\nlines " + seen.query["lines"].encode()),
    )
    done = terminal("online-deployment", "get-logs", "-n", "blue", "-e", "bikes", "--lines", "7")
    assert done.out == "loaded\nlines 7"
    assert (
        terminal("online-deployment", "get-logs", "-n", "blue", "-e", "bikes", "-o", "json").json == "loaded\nlines 50"
    )


def test_the_model_and_code_of_a_deployment_are_uploaded(terminal: Any, server: Any) -> None:
    deploying(server, "ready")
    terminal.file("model/weights.pkl", "w")
    terminal.file("score/score.py", "def init(): ...")
    terminal.file("conda.yml", "dependencies: [python=3.11]")
    text = DEPLOYMENT.replace("model: azureml:bikes@latest", "model:\n  path: model") + (
        "code_configuration:\n  code: score\n  scoring_script: score.py\n"
        "environment:\n  image: python\n  conda_file: conda.yml\n"
    )
    done = terminal("online-deployment", "create", "-f", terminal.file("d.yml", text))
    assert done.code == 0, done.err
    body = server.requests("POST", f"{AT}/bikes/deployments")[0].json
    model = documents.from_wire(body["document"]).model
    assert model.model.path.endswith("/model")
    assert model.code_configuration.code.startswith("tree:sha256:")


def test_objectives_are_a_table_for_people_and_json_for_programs(terminal: Any, server: Any) -> None:
    rates = {"5m": None, "1h": 14.4, "6h": 6.0, "3d": 1.0}
    objective = {
        "objective": "latency", "target": 99.0, "threshold_ms": 250.0, "compliance": 98.5, "met": False,
        "valid_requests": 2000, "burn_rates": rates,
        "error_budget": {"total": 20.0, "consumed": 30, "remaining": -10.0, "consumed_percent": 150.0},
    }  # fmt: skip
    answer = {"endpoint": "bikes", "window": "P28D", "objectives": [objective]}
    server.on("GET", f"{AT}/bikes/slo", answer)
    assert terminal("online-endpoint", "slo", "-n", "bikes").json == answer
    head, _, row = terminal("online-endpoint", "slo", "-n", "bikes", "-o", "table").out.splitlines()
    assert head.split("  ")[0] == "Objective" and head.endswith("Burn 5m  Burn 1h  Burn 6h  Burn 3d")
    assert row.startswith("latency <= 250 ms  ")
    assert " ".join(row.split()).endswith(" 99 % 98.500 % 2000 30 of 20.0 150.000 % - 14.40 6.00 1.00")
    server.on("GET", f"{AT}/bikes/slo", {"endpoint": "bikes", "window": None, "objectives": []})
    assert "has no objectives" in terminal("online-endpoint", "slo", "-n", "bikes", "-o", "table").out
