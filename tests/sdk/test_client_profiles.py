"""Where the server is: the environment before the file, never a token to the wrong server."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from doubleloop.base import errors
from doubleloop.sdk import profiles

ADA = profiles.Profile("http://here:1", "dl_ada", "ada", "dev")
GRACE = profiles.Profile("http://here:1", "dl_grace", "grace")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"DOUBLELOOP_HOME": str(tmp_path)}


def test_a_login_becomes_the_current_one_and_is_kept_by_name(tmp_path: Path, environ: dict[str, str]) -> None:
    profiles.log_in(tmp_path, ADA)
    profiles.log_in(tmp_path, GRACE)
    assert profiles.find(environ=environ) == GRACE
    assert profiles.find("ada", environ) == ADA
    assert (tmp_path / "client.json").stat().st_mode & 0o777 == 0o600


def test_the_login_that_another_one_replaces_can_still_be_used(tmp_path: Path, environ: dict[str, str]) -> None:
    admin = profiles.Profile(profiles.DEFAULT_URL, "dl_first-run", "admin")
    profiles.write(profiles.place(tmp_path), admin)
    profiles.log_in(tmp_path, ADA)
    assert profiles.find("admin", environ) == admin


def test_the_environment_wins(tmp_path: Path, environ: dict[str, str]) -> None:
    profiles.log_in(tmp_path, ADA)
    more = {"DOUBLELOOP_TOKEN": "dl_ci", "DOUBLELOOP_WORKSPACE": "prod"}
    assert profiles.find(environ={**environ, **more}) == profiles.Profile("http://here:1", "dl_ci", "", "prod")


def test_a_stored_token_is_not_sent_to_another_server(tmp_path: Path, environ: dict[str, str]) -> None:
    profiles.log_in(tmp_path, ADA)
    assert profiles.find(environ={**environ, "DOUBLELOOP_URL": "http://there:2"}) == profiles.Profile("http://there:2")
    assert profiles.find(environ={**environ, "DOUBLELOOP_URL": "http://here:1/"}).token == "dl_ada"


def test_a_url_alone_is_enough(environ: dict[str, str]) -> None:
    found = profiles.find(environ={**environ, "DOUBLELOOP_URL": "http://x:1", "DOUBLELOOP_TOKEN": "t"})
    assert found == profiles.Profile("http://x:1", "t")


def test_no_server_and_no_profile_say_what_to_do(environ: dict[str, str]) -> None:
    with pytest.raises(errors.NotFound, match="No server is known here") as caught:
        profiles.find(environ=environ)
    assert "doubleloop up" in caught.value.cure
    with pytest.raises(errors.NotFound, match="No profile of user eve") as caught:
        profiles.find("eve", environ)
    assert "doubleloop login --user eve" in caught.value.cure


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_damaged_profile_names_its_file(text: str, tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "client.json").write_text(text)
    with pytest.raises(errors.InvalidInput, match="cannot be read") as caught:
        profiles.find(environ=environ)
    assert caught.value.where == errors.Where(str(tmp_path / "client.json"))


def test_a_user_name_cannot_lead_out_of_the_folder(environ: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidInput, match="cannot be a user name"):
        profiles.find("../client", environ)


def test_logging_out_forgets_the_token_everywhere(tmp_path: Path, environ: dict[str, str]) -> None:
    profiles.log_in(tmp_path, ADA)
    profiles.log_in(tmp_path, GRACE)
    profiles.log_out(tmp_path, ADA)
    assert profiles.find(environ=environ) == GRACE
    assert not (tmp_path / "profiles/ada.json").exists()
    profiles.log_out(tmp_path, GRACE)
    assert not (tmp_path / "client.json").exists()


def test_a_file_without_a_workspace_reads_as_none(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "client.json").write_text(json.dumps({"url": "http://a:1", "token": "t", "user": "u", "more": 1}))
    assert profiles.find(environ=environ) == profiles.Profile("http://a:1", "t", "u", None)


def test_a_server_of_this_very_home_is_known_to_come_back_while_it_is_looked_after(tmp_path: Path) -> None:
    url = "http://127.0.0.1:7001"
    assert not profiles.runs_here(tmp_path, url)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "address.json").write_text(json.dumps({"host": "127.0.0.1", "port": 7001}))
    with (tmp_path / "run" / "supervisor.lock").open("w") as lock:
        assert not profiles.runs_here(tmp_path, url)
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert profiles.runs_here(tmp_path, url)
        assert not profiles.runs_here(tmp_path, "http://127.0.0.1:7002")
        (tmp_path / "run" / "address.json").write_text("{")
        assert not profiles.runs_here(tmp_path, url)
