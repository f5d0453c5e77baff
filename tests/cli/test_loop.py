"""Releases, monitors, schedules, rules and the record, from the command line."""

from __future__ import annotations

from typing import Any

from small_server import Reply

from doubleloop.base import errors

RELEASE = {
    "id": "r1",
    "number": 7,
    "definition": "taxi",
    "model_name": "taxi",
    "model_version": "3",
    "status": "waiting",
    "stage": "prod",
    "reasons": [],
    "stages": [
        {
            "workspace": "staging",
            "status": "passed",
            "step": "passed",
            "job": "job-1",
            "candidate": "4",
            "checks": [
                {"check": "0.0:data_quality", "outcome": "passed", "reasons": []},
                {"check": "0.1:scan", "outcome": "not_checked", "reasons": ["no advisories are installed"]},
            ],
            "approval": None,
        },
        {
            "workspace": "prod",
            "status": "waiting",
            "checks": [],
            "approval": {
                "status": "open",
                "personas": ["project_lead"],
                "count": 2,
                "given": [{"user": "grace", "comment": "good", "at": "2026-11-22T21:56:00.000000Z"}],
            },
        },
    ],
}
EVIDENCE = {
    "digest": "ab" * 32,
    "items": [
        {"check": "0.0:data_quality", "outcome": "passed", "hash": "cd" * 32, "reasons": [], "attachments": {}},
        {
            "check": "0.1:scan",
            "outcome": "not_checked",
            "hash": "ef" * 32,
            "reasons": ["no advisories"],
            "attachments": {},
        },
    ],
}


def fact(seq: int, type_: str, **data: Any) -> dict[str, Any]:
    return {"seq": seq, "type": type_, "at": f"2026-11-22T21:56:0{seq}.000000Z", "workspace": "staging", "data": data}


def facts_after(*facts: dict[str, Any]) -> Any:
    """The facts after the one asked for, two at a time."""
    return lambda seen: {
        "items": [each for each in facts if each["seq"] > int(seen.query.get("after", 0))][:2],
        "next": None,
    }


def test_approving_pins_the_evidence_that_was_shown(terminal: Any, server: Any) -> None:
    server.on("GET", "releases/r1/evidence", EVIDENCE)
    server.on("POST", "releases/r1/approve", lambda seen: {"status": "rolling_out", **seen.json})
    done = terminal("release", "approve", "r1", "--comment", "the error fell")
    assert done.json == {"status": "rolling_out", "evidence_digest": "ab" * 32, "comment": "the error fell"}
    assert "0.1:scan          not_checked  efefefefefef  no advisories" in done.err
    assert "Approved. Release r1 is rolling_out." in done.err
    before = len(server.requests("GET", ".*"))
    assert (
        terminal("release", "approve", "-n", "r1", "--evidence-digest", "ff", "--yes").json["evidence_digest"] == "ff"
    )
    assert len(server.requests("GET", ".*")) == before


def test_approving_ones_own_release_is_refused_with_the_words_of_the_server(terminal: Any, server: Any) -> None:
    server.on("GET", "releases/r1/evidence", EVIDENCE)
    refusal = errors.NotPermitted("ada made this model and may not approve it", cure="Ask another project lead.")
    server.on("POST", "releases/r1/approve", Reply(403, refusal.to_dict()))
    done = terminal("release", "approve", "-n", "r1")
    assert (done.code, done.out) == (4, "")
    assert done.err.endswith("error: ada made this model and may not approve it\n  cure: Ask another project lead.\n")


def test_rejecting_needs_a_reason(terminal: Any, server: Any) -> None:
    server.on("GET", "releases/r1/evidence", EVIDENCE)
    server.on("POST", "releases/r1/reject", lambda seen: {"status": "rejected", **seen.json})
    assert "--comment" in terminal("release", "reject", "-n", "r1").err
    assert terminal("release", "reject", "-n", "r1", "-c", "unfair").json["comment"] == "unfair"


def test_acting_as_another_user_uses_that_users_token(terminal: Any, server: Any) -> None:
    server.on("GET", "approvals", {"items": [], "next": None})
    done = terminal("release", "waiting", "--user", "grace")
    assert done.code == 3
    assert "doubleloop login --user grace" in done.err
    server.on(
        "POST",
        "login",
        lambda seen: {"token": f"dl_{seen.json['user']}", "user": seen.json["user"], "expires_at": None},
    )
    server.on("GET", "health", {"status": "ok"})
    done = terminal("login", "--user", "grace", "--password-stdin", stdin="correct horse battery\n")
    assert done.code == 0, done.err
    assert server.requests("POST", "login")[0].json == {"user": "grace", "password": "correct horse battery"}
    terminal("release", "waiting", "--user", "grace")
    terminal("--user", "ada", "release", "waiting")
    sent = [seen.headers["authorization"] for seen in server.requests("GET", "approvals")]
    assert sent == ["Bearer dl_grace", "Bearer dl_secret-of-ada"]


def test_a_release_is_followed_to_its_end(terminal: Any, server: Any) -> None:
    server.on(
        "GET",
        "releases/r1",
        {**RELEASE, "status": "running"},
        RELEASE,
        {**RELEASE, "status": "rolling_out"},
        {**RELEASE, "status": "completed"},
    )
    server.on(
        "GET",
        "releases/r1/facts",
        facts_after(
            fact(1, "release.started", release="r1", model="taxi"),
            fact(2, "release.evidence", check="0:scan", outcome="passed"),
            fact(3, "release.waiting"),
            fact(4, "release.approved", by="grace"),
            fact(5, "release.completed"),
        ),
    )
    done = terminal("release", "stream", "-n", "r1")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "21:56:01Z  staging  release.started  model=taxi"
    assert [line.split("  ")[2] for line in lines if line.startswith("21:")] == [
        "release.started",
        "release.evidence",
        "release.waiting",
        "release.approved",
        "release.completed",
    ]
    assert "Waits for 1 approval(s) by project lead for prod: `doubleloop release approve -n r1`" in lines
    assert lines.count(lines[2]) == 1


def test_following_can_end_where_a_person_is_needed(terminal: Any, server: Any) -> None:
    server.on("GET", "releases/r1", RELEASE)
    server.on("GET", "releases/r1/facts", {"items": [], "next": None})
    assert (
        terminal("release", "stream", "-n", "r1", "--until", "waiting", "--query", "status", "-o", "tsv").out
        == "waiting\n"
    )


def test_a_release_that_does_not_complete_ends_with_its_reasons(terminal: Any, server: Any) -> None:
    server.on("GET", "releases/r1", {**RELEASE, "status": "rolled_back", "reasons": ["p99 was 900 ms, above 500"]})
    server.on("GET", "releases/r1/facts", {"items": [], "next": None})
    done = terminal("release", "stream", "-n", "r1")
    assert done.code == 1
    assert "error: Release r1 is rolled back: p99 was 900 ms, above 500" in done.err


def test_a_release_as_a_page(terminal: Any, server: Any) -> None:
    server.on("GET", "releases/r1", RELEASE)
    page = terminal("release", "show", "-n", "r1", "-o", "table").out
    assert "staging: passed (passed)\n  Job        job-1\n  Candidate  4\n" in page
    assert "  not_checked  0.1:scan  no advisories are installed\n" in page
    assert "  approval: open, 1 of 2\n    grace 2026-11-22 21:56:00Z good\n" in page


def test_starting_names_the_definition_and_the_version(terminal: Any, server: Any) -> None:
    server.on("POST", "releases", lambda seen: {"status": "running", **seen.json})
    found = terminal("release", "start", "-n", "taxi", "--model-version", "3").json
    assert (found["definition"], found["model_version"]) == ("taxi", "3")
    assert found["id"].startswith("release-")


MONITOR = """$schema: http://azureml/sdk-2-0/Schedule.json
name: watch
trigger: {type: recurrence, frequency: day, interval: 1}
create_monitor:
  monitoring_target: {ml_task: regression, endpoint_deployment_id: "azureml:taxi:blue"}
  monitoring_signals:
    drift:
      type: data_drift
      reference_data: {input_data: {path: "azureml:taxi:1", type: uri_file}, data_context: training}
      metric_thresholds: {numerical: {normalized_wasserstein_distance: 0.1}}
"""
SCHEDULE = """name: nightly
trigger: {type: cron, expression: "0 3 * * *"}
create_job: azureml:job-1
"""


ALERT = {
    "id": "alert-1", "state": "open", "severity": "warning", "kind": "model", "monitor": "watch", "signal": "inputs",
    "metric": "psi", "columns": ["city"], "value": 2.0, "threshold": 1.0, "raised_at": "2026-11-22T21:56:00.000000Z",
    "details": {
        "moved": [{"column": "city", "sentence": "city: rome 20 % → 60 %"}],
        "segments": [{"column": "city", "segment": "rome", "before": 0.2, "after": 0.6}],
    },
}  # fmt: skip


def test_a_dry_run_says_what_a_rule_would_have_done(terminal: Any, server: Any) -> None:
    seen: list[Any] = []
    one = {"fact": 7, "at": ALERT["raised_at"], "type": "monitor.alert", "acts": True, "does": ["notify: team: mae"]}
    other = {**one, "fact": 8, "acts": False, "why": "cooling down", "does": []}
    found = {
        "rule": "tell",
        "since": ALERT["raised_at"],
        "facts": 9,
        "acted": 1,
        "skipped": 1,
        "occasions": [one, other],
    }
    server.on("POST", "workspaces/dev/rules/tell/dry-run", lambda asked: seen.append(asked.json) or found)
    page = terminal("rule", "dry-run", "-n", "tell", "--since", "P7D", "-o", "table").out
    assert "9 facts, it would have acted 1 times" in page and "notify: team: mae" in page and "cooling down" in page
    assert seen == [{"since": "P7D"}]
    rule = terminal.file("r.yml", "$schema: doubleloop/rule\nname: tell\non: x\ndo: [{notify: {to: [a]}}]\n")
    terminal("rule", "dry-run", "-f", rule)
    assert seen[1]["document"]["spec"]["name"] == "tell"
    assert "The rule is missing" in terminal("rule", "dry-run").err


def test_alerts_are_listed_shown_and_looked_after(terminal: Any, server: Any) -> None:
    seen: list[Any] = []
    server.on(
        "GET", "workspaces/dev/alerts", lambda asked: seen.append(asked.query) or {"items": [ALERT], "next": None}
    )
    step = {"at": ALERT["raised_at"], "type": "alert.acknowledged", "actor": "linus", "comment": "mine"}
    server.on("GET", "workspaces/dev/alerts/alert-1", {**ALERT, "history": [step]})
    for verb in ("acknowledge", "silence", "resolve", "reopen"):
        server.on("POST", f"workspaces/dev/alerts/alert-1/{verb}", lambda asked: seen.append(asked.json) or ALERT)
    assert "alert-1" in terminal("alert", "list", "--open", "--monitor", "watch", "-o", "table").out
    assert (seen[-1]["open"].lower(), seen[-1]["monitor"]) == ("true", "watch")
    page = terminal("alert", "show", "alert-1", "-o", "table").out
    assert "rome 20 % → 60 %" in page and "city = rome: 20.0% before, 60.0% after" in page and "mine" in page
    assert terminal("alert", "acknowledge", "-n", "alert-1", "-c", "mine").json["id"] == "alert-1"
    assert seen[-1] == {"comment": "mine"}
    terminal("alert", "silence", "alert-1", "--for", "2h")
    assert seen[-1] == {"comment": "", "for": "2h"}
    terminal("alert", "silence", "alert-1", "--until", "2030-01-01")
    assert seen[-1] == {"comment": "", "until": "2030-01-01T00:00:00.000000Z"}
    terminal("alert", "resolve", "alert-1")
    terminal("alert", "reopen", "alert-1")
    for wrong in ([], ["--for", "soon"], ["--until", "never"], ["--for", "2h", "--until", "2030-01-01"]):
        refused = terminal("alert", "silence", "alert-1", *wrong)
        assert refused.code != 0 and "cure:" in refused.err


def test_a_monitors_file_makes_a_monitor_by_either_noun(terminal: Any, server: Any) -> None:
    server.on("POST", "workspaces/dev/monitors", {"name": "watch"})
    server.on("POST", "workspaces/dev/schedules", {"name": "nightly"})
    server.on("GET", "workspaces/dev/schedules/watch", {"name": "watch", "kind": "monitor"})
    monitor, schedule = terminal.file("m.yml", MONITOR), terminal.file("s.yml", SCHEDULE)
    assert terminal("monitor", "create", "-f", monitor).json == {"name": "watch"}
    assert terminal("schedule", "create", "-f", monitor).json == {"name": "watch", "kind": "monitor"}
    assert terminal("schedule", "create", "-f", schedule).json == {"name": "nightly"}
    done = terminal("monitor", "create", "-f", schedule)
    assert (done.code, "Use `doubleloop schedule create`" in done.err) == (2, True)


def test_a_run_is_waited_for_and_its_metrics_shown(terminal: Any, server: Any) -> None:
    ended = {
        "id": "run-1",
        "status": "completed",
        "window": {"start": "2013-05-01", "end": "2013-06-01"},
        "signals": [
            {
                "signal": "drift",
                "metrics": [
                    {
                        "metric": "normalized_wasserstein_distance",
                        "column": "temp",
                        "value": 0.3141592,
                        "threshold": 0.1,
                        "alert": True,
                    },
                    {
                        "metric": "normalized_wasserstein_distance",
                        "column": "hour",
                        "value": 0.0,
                        "threshold": 0.1,
                        "alert": False,
                    },
                ],
            }
        ],
    }
    server.on("POST", "workspaces/dev/monitors/watch/runs", lambda seen: {"status": "running", **seen.json})
    server.on("GET", "workspaces/dev/monitors/watch/runs/*", {"status": "running"}, ended)
    done = terminal("monitor", "run-now", "-n", "watch", "--as-of", "2013-06-01", "-o", "table")
    assert done.code == 0, done.err
    assert "drift   temp    normalized_wasserstein_distance  0.314159  0.1        ALERT\n" in done.out
    assert server.requests("POST", ".*runs")[0].json["as_of"] == "2013-06-01T00:00:00.000000Z"
    assert terminal("monitor", "run-now", "-n", "watch", "--no-wait").json["status"] == "running"
    assert terminal("monitor", "run-now", "-n", "watch", "--as-of", "soon").code == 2
    server.on("GET", "workspaces/dev/monitors/watch/runs/*", {"status": "failed", "error": "no data in the window"})
    done = terminal("monitor", "run-now", "-n", "watch")
    assert (done.code, "failed: no data in the window" in done.err) == (1, True)


def test_series_as_a_table(terminal: Any, server: Any) -> None:
    server.on(
        "GET",
        "workspaces/dev/monitors/watch/series",
        {
            "items": [
                {
                    "signal": "drift",
                    "metric": "psi",
                    "column": "temp",
                    "threshold": 0.2,
                    "points": [["2013-05-01T00:00:00Z", 0.1, False], ["2013-06-01T00:00:00Z", 0.25, True]],
                }
            ],
            "next": None,
        },
    )
    assert terminal("monitor", "series", "-n", "watch", "--column", "temp", "-o", "table").out == (
        "Signal  Column  Metric  Window end            Value  Threshold  Alert\n"
        "------  ------  ------  --------------------  -----  ---------  -----\n"
        "drift   temp    psi     2013-05-01 00:00:00Z  0.1    0.2\n"
        "drift   temp    psi     2013-06-01 00:00:00Z  0.25   0.2        ALERT\n"
    )
    assert server.seen[-1].query == {"column": "temp"}


def test_a_rule_is_kept_from_its_file(terminal: Any, server: Any) -> None:
    server.on("POST", "workspaces/prod/rules", lambda seen: {"on": seen.json["document"]["spec"]["on"]})
    file = terminal.file(
        "rule.yml", "$schema: doubleloop/rule\nname: r\non: monitor.alert\ndo: [{notify: {to: ops}}]\n"
    )
    assert terminal("rule", "create", "-f", file, "-w", "prod").json == {"on": "monitor.alert"}


TRACE = {
    "id": "req-1",
    "kind": "request",
    "request": {
        "request_id": "req-1", "time": "2013-06-01T08:00:00Z", "workspace": "prod", "endpoint": "bikes", "status": 200,
        "latency_ms": 3.25, "inputs": {"hour": 8, "temp": 12.5}, "outputs": {"prediction": 301.25},
        "pieces": 4, "time_to_first_piece_ms": 1.5,
    },
    "deployment": {"id": "d1", "name": "r7", "endpoint": "bikes", "workspace": "prod", "status": "ready",
                   "environment_lock": "ab" * 32, "created_by": "service:releases"},
    "model": {"name": "bikes", "version": "4", "digest": "cd" * 32, "run": "run-1", "authors": ["ada"]},
    "job": {"id": "job-1", "workspace": "staging", "status": "completed", "created_by": "service:releases", "steps": [
        {"name": "train", "status": "completed", "code": f"tree:sha256:{'12' * 32}", "environment_lock": "ab" * 32}]},
    "data": [{"id": "data:registry/bikes:3", "digest": "ef" * 32, "created_at": "2013-05-01T00:00:00Z"}],
    "environments": [{"lock": "ab" * 32, "python": "3.11.7", "packages": ["a==1", "b==2"], "used_by": ["step train"]}],
    "release": {"id": "r1", "number": 7, "definition": "bikes", "status": "completed", "definition_version": 1,
                "definition_hash": "34" * 32, "trigger": {"type": "rule", "rule": "retrain"},
                "stages": [{"workspace": "staging", "phase": "passed", "passed_at": "2013-05-02T00:00:00Z"}]},
    "checks": [{"check": "0.0:scan", "outcome": "passed", "hash": "56" * 32, "intact": True},
               {"check": "0.1:model_quality", "outcome": "passed", "hash": "78" * 32, "intact": False}],
    "approvals": [{"workspace": "prod", "status": "approved", "personas": ["project_lead"], "count": 1,
                   "evidence_digest": "9a" * 32, "decisions": [
                       {"actor": "grace", "decision": "approve", "at": "2013-05-02T01:00:00Z", "comment": "fine"}]}],
    "audit": [{"seq": 3, "at": "2013-05-01T00:00:00Z"}, {"seq": 9, "at": "2013-05-02T00:00:00Z"}],
}  # fmt: skip
TOLD = """Request req-1 to prod/bikes
  at                      2013-06-01 08:00:00Z
  answered                200
  latency ms              3.25
  pieces                  4
  time to first piece ms  1.5
  inputs                  hour=8, temp=12.5
  outputs                 prediction=301.25
Deployment r7 of prod/bikes (ready)
  id           d1
  made by      release 7
  environment  abababababab
Model bikes:4
  files    cdcdcdcdcdcd
  run      run-1
  made by  ada
Job job-1 in staging (completed)
  started by  service:releases
  step train: completed, code tree:sha256:121212121212, environment abababababab
Data
  data:registry/bikes:3  efefefefefef  2013-05-01 00:00:00Z
Environments
  abababababab  Python 3.11.7, 2 packages: step train
Release 7 of bikes (completed)
  id          r1
  definition  version 1, 343434343434
  because     type=rule, rule=retrain
  stage staging: passed, passed 2013-05-02 00:00:00Z
Checks
  passed       0.0:scan  565656565656
  passed       0.1:model_quality  787878787878  ALTERED SINCE IT WAS SEALED
Approvals
  prod: approved (1 by project lead), on evidence 9a9a9a9a9a9a
    grace approve 2013-05-02 01:00:00Z: fine
2 sealed facts from 3 (2013-05-01 00:00:00Z) to 9 (2013-05-02 00:00:00Z); `doubleloop audit verify` proves them.
"""


def test_a_trace_tells_everything_from_the_request_to_who_decided(terminal: Any, server: Any) -> None:
    server.on("GET", "trace/*", TRACE)
    assert terminal("trace", "req-1", "-o", "table").out == TOLD
    assert terminal("trace", "-n", "req-1").json == TRACE


def test_a_trace_of_little_is_short(terminal: Any, server: Any) -> None:
    empty = dict.fromkeys(TRACE, None)
    server.on("GET", "trace/*", {**empty, "id": "bikes:1", "kind": "model", "model": {"name": "bikes", "version": "1"}})
    assert terminal("trace", "bikes:1", "-o", "table").out == "Model bikes:1\n"


def test_a_record_that_was_changed_ends_with_1(terminal: Any, server: Any) -> None:
    report = {"whole": True, "facts": 12, "head": "ab", "broken_at": 0, "why": "", "archived": 0, "checkpoints": 0,
              "signed": 0, "key": "", "guarded": True}  # fmt: skip
    server.on("GET", "audit/verify", report, {**report, "whole": False, "broken_at": 5, "why": "fact 5 was changed"})
    assert terminal("audit", "verify", "-o", "table").out == "Whole: 12 facts, head ab\n"
    done = terminal("audit", "verify")
    assert (done.code, done.out) == (1, "")
    assert "does not hold from fact 5 on: fact 5 was changed" in done.err
