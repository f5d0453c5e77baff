"""Logging in, setting up, users and roles, and the processes of an installation, from the command line."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from typing import Any

import pytest
from small_server import Reply

from doubleloop.base import errors

SETUP = """$schema: doubleloop/setup
workspaces:
  - {name: dev, kind: preproduction}
"""
PLAN = {
    "digest": "d1",
    "changes": [
        {
            "action": "create",
            "kind": "workspace",
            "name": "dev",
            "fields": {"kind": [None, "preproduction"], "description": [None, ""], "settings": [None, {}]},
        },
        {"action": "change", "kind": "group", "name": "leads", "fields": {"members": [["grace"], ["ada", "grace"]]}},
        {"action": "none", "kind": "user", "name": "ada", "fields": {}},
    ],
}
PLANNED = "+ workspace dev\n    kind: preproduction\n~ group leads\n    members: grace → ada, grace\n"


def logging_in(server: Any) -> None:
    server.on("GET", "health", {"status": "ok", "version": "9.9"})
    server.on("POST", "login", {"token": "dl_new", "user": "grace", "expires_at": "2026-11-23T00:00:00.000000Z"})


def test_a_login_is_remembered_and_forgotten(stranger: Any, server: Any) -> None:
    logging_in(server)
    server.on("GET", "me", {"user": "grace"})
    server.on("POST", "logout", {})
    done = stranger("login", "--url", server.url, "--user", "grace", "--password-stdin", stdin="secret words here\n")
    assert done.code == 0, done.err
    assert "dl_new" not in done.out + done.err
    assert stranger("user", "show").json == {"user": "grace"}
    assert server.requests("GET", "me")[0].headers["authorization"] == "Bearer dl_new"
    assert stranger("logout").code == 0
    assert not (stranger.home / "client.json").exists()
    assert stranger("user", "show").code == 3


def test_a_password_is_never_asked_for_without_a_terminal(stranger: Any, server: Any) -> None:
    logging_in(server)
    done = stranger("login", "--url", server.url, "--user", "grace")
    assert (done.code, "--password-stdin" in done.err) == (2, True)
    assert stranger("login", "--url", server.url, "--user", "grace", "--password-stdin").code == 2
    assert "Who logs in?" in stranger("login", "--url", server.url).err


def test_a_wrong_password_stores_nothing(stranger: Any, server: Any) -> None:
    logging_in(server)
    server.on("POST", "login", Reply(401, errors.NotAuthenticated("User name or password is wrong").to_dict()))
    done = stranger("login", "--url", server.url, "--user", "grace", "--password-stdin", stdin="x\n")
    assert (done.code, "User name or password is wrong" in done.err) == (4, True)
    assert not stranger.home.exists()


def test_a_plan_shows_the_difference_and_apply_does_what_was_planned(terminal: Any, server: Any) -> None:
    server.on("POST", "setup/plan", PLAN)
    server.on("POST", "setup/apply", lambda seen: {**PLAN, "digest": seen.json["digest"]})
    file = terminal.file("setup.yml", SETUP)
    assert terminal("plan", "-f", file, "-o", "table").out == PLANNED
    assert not server.requests("POST", "setup/apply")
    done = terminal("apply", "-f", file)
    assert (done.code, done.json["digest"]) == (0, "d1")
    server.on("POST", "setup/plan", {"digest": "d2", "changes": [PLAN["changes"][2]]})
    assert terminal("plan", "-f", file, "-o", "table").out == "Nothing to change.\n"


def test_on_a_terminal_apply_asks_first(terminal: Any, server: Any) -> None:
    server.on("POST", "setup/plan", PLAN)
    server.on("POST", "setup/apply", PLAN)
    file = terminal.file("setup.yml", SETUP)
    code, shown = on_a_terminal(terminal, ["apply", "-f", file], "n\n")
    assert code == 130
    assert "Make these changes? [y/N]" in shown
    assert not server.requests("POST", "setup/apply")
    code, shown = on_a_terminal(terminal, ["apply", "-f", file], "y\n")
    assert code == 0
    assert server.requests("POST", "setup/apply")


def test_a_plan_tells_scripts_by_its_exit_code_whether_there_is_anything_to_do(terminal: Any, server: Any) -> None:
    server.on("POST", "setup/plan", PLAN)
    file = terminal.file("setup.yml", SETUP)
    assert terminal("plan", "-f", file).code == 0
    done = terminal("plan", "-f", file, "--detailed-exitcode", "-o", "table")
    assert (done.code, done.out) == (2, PLANNED)
    server.on("POST", "setup/plan", {"digest": "d2", "changes": [PLAN["changes"][2]]})
    assert terminal("plan", "-f", file, "--detailed-exitcode").code == 0


REFUSED = {
    "digest": "d3",
    "setup": "default",
    "changes": [
        {"action": "remove", "kind": "workspace", "name": "dev", "fields": {"kind": ["production", None]},
         "refused": "it holds 2 jobs"},
        {"action": "forget", "kind": "user", "name": "ada", "fields": {}, "note": "it is gone already"},
    ],
}  # fmt: skip


def test_a_plan_says_why_something_is_kept(terminal: Any, server: Any) -> None:
    server.on("POST", "setup/plan", REFUSED)
    shown = terminal("plan", "-f", terminal.file("setup.yml", SETUP), "--delete-data", "dev", "-o", "table").out
    assert shown == "- workspace dev\n    kept: it holds 2 jobs\no user ada  (it is gone already)\n"
    assert server.requests("POST", "setup/plan")[-1].json["delete_data"] == ["dev"]


def test_drift_is_told_by_its_exit_code_and_by_whom(terminal: Any, server: Any) -> None:
    drift = {
        "setup": "default", "change": "changed", "kind": "group", "name": "leads",
        "fields": {"members": [["ada"], ["ada", "eve"]]}, "by": "eve", "at": "2026-11-23T00:00:00.000000Z",
    }  # fmt: skip
    server.on("GET", "setup/drift", {"items": [drift], "next": None, "unmanaged": []})
    done = terminal("drift", "-o", "table")
    assert done.code == 1
    assert done.out == "~ group leads  (by eve, 2026-11-23T00:00:00.000000Z)\n    members: ada → ada, eve\n"
    server.on("GET", "setup/drift", {"items": [], "next": None, "unmanaged": [{"kind": "user", "name": "admin"}]})
    done = terminal("drift", "-f", terminal.file("setup.yml", "name: home\n" + SETUP), "-o", "table")
    assert (done.code, done.out) == (0, "Nothing was changed by hand.\nIn no setup file: user admin\n")
    assert server.requests("GET", "setup/drift")[-1].query["name"] == "home"


def test_destroying_needs_the_name_typed(terminal: Any, server: Any) -> None:
    server.on("POST", "setup/destroy", REFUSED)
    assert terminal("destroy").code == 2
    code, shown = on_a_terminal(terminal, ["destroy"], "default\n")
    assert (code, "Type 'default' to remove all of this" in shown) == (0, True)
    sent = server.requests("POST", "setup/destroy")[-1].json
    assert sent == {"name": "default", "confirm": "default", "digest": "d3"}


def on_a_terminal(terminal: Any, words: list[str], typed: str) -> tuple[int, str]:
    """Run it with a real terminal as its input and output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [terminal.program, *words],
        cwd=terminal.folder,
        env={**terminal.environ, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side has closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    return process.wait(60), shown.decode(errors="replace").replace("\r\n", "\n")


def test_on_a_terminal_a_listing_is_a_table(terminal: Any, server: Any) -> None:
    server.on("GET", "users", {"items": [{"name": "ada", "is_admin": True, "disabled": False}], "next": None})
    code, shown = on_a_terminal(terminal, ["user", "list"], "")
    assert code == 0
    assert "Name  Display name  Admin  Disabled  Created" in shown


def test_users_and_roles(terminal: Any, server: Any) -> None:
    server.on("POST", "users", lambda seen: seen.json)
    server.on("PUT", "users/eve/password", {})
    made = terminal(
        "user", "create", "-n", "eve", "--display-name", "Eve", "--password-stdin", stdin="a long password\n"
    )
    assert made.json == {"name": "eve", "display_name": "Eve", "password": "a long password"}
    assert terminal("user", "create", "-n", "bot", "--no-password").json == {"name": "bot"}
    assert terminal("user", "set-password", "-n", "eve", "--password-stdin", stdin="another one\n").code == 0
    server.on(
        "GET",
        "roles",
        {
            "items": [{"name": "leads", "persona": "project_lead", "members": ["grace"], "workspaces": []}],
            "next": None,
            "personas": {"project_lead": {"production": ["release.approve"]}},
        },
    )
    assert "leads  project_lead  grace    all" in terminal("role", "list", "-o", "table").out
    assert terminal("role", "list", "--personas").json == {"project_lead": {"production": ["release.approve"]}}
    asked = {"id": "activation-1", "user": "ada", "of": "group:night", "seconds": 5400, "reason": "ticket 4711",
             "status": "waiting", "asked_at": "2026-11-27T06:00:00Z", "decided_by": None, "ends_at": None}  # fmt: skip
    server.on("GET", "activations", {"items": [asked], "next": None, "eligible": [], "waiting": 1})
    assert "activation-1  ada  group:night  1.5 h  ticket 4711" in terminal("role", "waiting", "-o", "table").out
    assert server.seen[-1].query == {"waiting": "true"}
    assert "1 for you to decide: doubleloop role waiting" in terminal("role", "activations").err
    server.on("GET", "roles/explain", {"allowed": False, "why": "ada belongs to no group"})
    asked = terminal("role", "explain", "release.approve", "--who", "ada", "-w", "prod", "-o", "table")
    assert asked.out == "No: ada belongs to no group\n"
    assert server.seen[-1].query == {"action": "release.approve", "user": "ada", "workspace": "prod"}


@pytest.mark.parametrize(
    ("words", "query"),
    [
        (["data.read"], {"action": "data.read"}),
        (["ada", "data.read"], {"action": "data.read", "user": "ada"}),
        (["a.lovelace", "data.read"], {"action": "data.read", "user": "a.lovelace"}),
        (["data.read", "prod"], {"action": "data.read", "workspace": "prod"}),
        (["ada", "data.read", "prod"], {"action": "data.read", "user": "ada", "workspace": "prod"}),
        (["ada", "endpoint.invoke", "prod/endpoint/bikes"],
         {"action": "endpoint.invoke", "user": "ada", "workspace": "prod", "resource": "endpoint/bikes"}),
    ],
)  # fmt: skip
def test_a_question_of_rights_is_who_what_and_where(
    terminal: Any, server: Any, words: list[str], query: dict[str, str]
) -> None:
    server.on("GET", "roles/explain", {"allowed": True, "why": "so it is"})
    assert terminal("role", "explain", *words, "-o", "table").out == "Yes: so it is\n"
    assert server.seen[-1].query == query
    assert terminal("role", "explain", *words, "one", "too", "many").code == 2


def test_a_token_for_a_program(terminal: Any, server: Any) -> None:
    server.on("POST", "tokens", lambda seen: seen.json)
    assert terminal("token", "create", "-n", "ci", "--lifetime", "90d").json == {
        "name": "ci",
        "lifetime": 7776000.0,
    }
    assert terminal("token", "create", "-n", "ci", "--lifetime", "soon").code == 2
    words = ("-w", "prod", "--read-only", "--action", "endpoint.invoke", "--resource", "endpoint/bikes")
    assert terminal("token", "create", "-n", "caller", "--of", "service:ci", *words).json == {
        "name": "caller", "user": "service:ci", "workspace": "prod", "resource": "endpoint/bikes",
        "actions": ["read-only", "endpoint.invoke"],
    }  # fmt: skip


def test_tokens_are_listed_and_revoked(terminal: Any, server: Any) -> None:
    row = {"id": "token-1", "name": "ci", "kind": "token", "actions": ["read-only"], "last_used_at": None}
    server.on("GET", "tokens", {"items": [row], "next": None})
    server.on("DELETE", "users/*/tokens", {"revoked": 2})
    server.on("DELETE", "tokens/*", {})
    server.on("GET", "me", {"user": "ada"})
    assert "read-only" in terminal("token", "list", "--of", "eve", "-o", "table").out
    assert server.seen[-1].query == {"user": "eve"}
    assert terminal("token", "revoke-all").code == 2
    assert terminal("token", "revoke-all", "--yes").json == {"revoked": 2}
    assert server.seen[-1].path.endswith("users/ada/tokens")
    assert terminal("token", "revoke", "token-1").code == 0


def test_the_workspace_in_use_is_remembered(terminal: Any, server: Any) -> None:
    server.on("GET", "workspaces/*", lambda seen: {"name": seen.path.rsplit("/", 1)[1]})
    assert terminal("workspace", "use", "prod").code == 0
    assert terminal("workspace", "show").json["name"] == "prod"
    stored = json.loads((terminal.home / "client.json").read_text())
    assert stored["workspace"] == "prod"
    assert stored["token"] == "dl_secret-of-ada"


def test_the_version_says_what_the_server_is_and_when_there_is_none(terminal: Any, stranger: Any, server: Any) -> None:
    server.on("GET", "health", {"status": "ok", "version": "9.9"})
    assert terminal("version").json["server"] == "9.9"
    done = terminal("version", DOUBLELOOP_URL="http://127.0.0.1:9")
    assert (done.code, done.json["server"]) == (0, None)


def test_nothing_runs_here(stranger: Any) -> None:
    found = stranger("status", "-o", "json")
    assert found.code == 0, found.err
    assert found.json["running"] is False
    assert stranger("down", "--home", str(stranger.home)).code == 0


def test_bad_settings_are_told_before_anything_starts(stranger: Any) -> None:
    done = stranger("up", "--port", "http")
    assert (done.code, "'http' is not a valid integer" in done.err) == (2, True)
    done = stranger("up", DOUBLELOOP_PORT="http")
    assert (done.code, "DOUBLELOOP_PORT='http' is not a whole number" in done.err) == (2, True)
    done = stranger("demo", "astrology")
    assert (done.code, "'astrology' is not one of 'classical', 'vision', 'language'" in done.err) == (2, True)


def test_a_debug_flag_shows_where_an_error_came_from(terminal: Any, server: Any) -> None:
    server.on("GET", "users", Reply(403, errors.NotPermitted("no").to_dict()))
    done = subprocess.run(
        [terminal.program, "user", "list", "--debug"], env=terminal.environ, capture_output=True, check=False
    )
    assert done.returncode == 4
    assert b"Traceback" in done.stderr


def test_being_terminated_is_not_a_crash(terminal: Any, server: Any) -> None:
    server.on("GET", "releases/r1", {"id": "r1", "status": "running"})
    server.on(
        "GET",
        "releases/r1/facts",
        {"items": [{"seq": 1, "type": "release.started", "at": "2026-11-22T21:56:00Z", "data": {}}], "next": None},
    )
    process = terminal.start("release", "stream", "-n", "r1")
    assert "release.started" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in err
