"""Values as words."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubleloop.console import explaining, telling, words

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "now"),
        (12, "12 s ago"),
        (-12, "in 12 s"),
        (3700, "1 h ago"),
        (86400 * 3, "3 d ago"),
        (86400 * 40, "13 Oct 2026"),
    ],
)
def test_how_long_ago(seconds: int, said: str) -> None:
    assert words.ago(NOW - timedelta(seconds=seconds), NOW) == said
    assert words.ago(None, NOW) == "–"


@pytest.mark.parametrize(("seconds", "said"), [(0.42, "0.4 s"), (75, "1 min 15 s"), (7500, "2 h 5 min")])
def test_how_long_it_took(seconds: float, said: str) -> None:
    assert words.span(NOW, NOW + timedelta(seconds=seconds)) == said
    assert words.span(NOW, None) == "–"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (True, "yes"),
        (18012, "18\u202f012"),
        (0.4366666, "0.4367"),
        (123456.7, "123\u202f457"),
        (float("nan"), "NaN"),
    ],
)
def test_numbers_are_short(value: Any, said: str) -> None:
    assert words.number(value) == said


def test_every_status_has_a_tone_and_unknown_ones_are_quiet() -> None:
    assert [words.tone(each) for each in ("completed", "failed", "waiting for approval", "rolling out", "odd")] == [
        "ok", "bad", "warn", "info", "muted",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("subject", "workspace", "page"),
    [
        ("release:r-1", None, "/releases/r-1"), ("job:j", "dev", "/jobs/dev/j"), ("job:j", None, None),
        ("step:j/train", "dev", "/jobs/dev/j?step=train"), ("endpoint:prod/bikes", None, "/endpoints/prod/bikes"),
        ("monitor:prod/m", None, "/monitors/prod/m"), ("model:registry/bikes:3", None, "/models/bikes#v3"),
        ("deployment:d", None, "/trace?id=d"), ("data:registry/x:1", None, None), ("odd", None, None),
        ("release:a/../b?c=1#d", None, "/releases/a/../b%3Fc%3D1%23d"),
    ],
)  # fmt: skip
def test_what_a_subject_links_to(subject: str, workspace: str | None, page: str | None) -> None:
    assert words.link(subject, workspace) == page


def test_a_fact_without_a_sentence_is_told_by_its_type() -> None:
    assert telling.sentence("thing.happened", "thing:ws/x:1", {}) == "thing happened: ws/x:1"
    for type_ in telling._SENTENCES:
        assert telling.sentence(type_, "model:registry/bikes:1", {})


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=80), st.integers(1, 9))
def test_a_log_read_in_pieces_is_the_log(text: str, size: int) -> None:
    content, offset, found = text.encode(), 0, ""
    while offset < len(content):
        piece = content[offset : offset + size + 3]
        is_end = offset + len(piece) == len(content)
        told, used = words.log_text(piece, is_end)
        assert used > 0
        found, offset = found + told, offset + used
    assert found == text


def test_a_log_that_is_no_text_is_shown_all_the_same() -> None:
    assert words.log_text(b"ok \xff\xfe bytes", True) == ("ok \ufffd\ufffd bytes", 11)


def test_a_progress_bar_shows_as_it_looked_last() -> None:
    assert words.log_text(b"start\n10%\r50%\r100%\ndone\r\n", True)[0] == "start\n100%\ndone\n"


def test_the_curl_line_holds_whatever_a_column_is_named() -> None:
    signature = {"inputs": [{"name": "a'; rm -rf ~; '", "type": "long"}, {"name": "b", "type": "string"}]}
    line = words.curl("http://h/x y", "key", words.example_body(signature))
    parts = shlex.split(line.replace("\\\n", ""))
    assert parts[:2] == ["curl", "http://h/x y"]
    assert json.loads(parts[-1]) == {"input_data": {"columns": ["a'; rm -rf ~; '", "b"], "data": [[1, "text"]]}}
    assert "Authorization" not in words.curl("http://h", None, "")


def test_measurements_leave_out_digests_and_long_texts() -> None:
    body = {
        "measurements": {"rmse": 55.7084, "digest": "ab", "latency_ms": {"p99": 118.8}, "note": "x" * 80, "none": None}
    }
    assert words.measured(body) == [("rmse", "55.71"), ("latency ms · p99", "118.8")]


def test_measurements_of_groups_are_named_by_their_group() -> None:
    groups = [{"group": "day off", "value": 36.2, "judged": True}, {"group": "working day", "value": 33.7}]
    assert words.measured({"measurements": {"day_type": groups, "data_ids": ["a", "b"]}}) == [
        ("day type · day off · value", "36.2"), ("day type · day off · judged", "yes"),
        ("day type · working day · value", "33.7"), ("data ids", "a, b"),
    ]  # fmt: skip


def test_what_a_step_used() -> None:
    used = {"cpu_seconds": 1.5, "max_rss": 10_752_000, "log_dropped_bytes": 0, "ended_at": "2026"}
    assert words.usage(used) == [("processor", "1.5 s"), ("memory", "10.8 MB")]


def test_an_explanation_without_a_job_says_so() -> None:
    told = {
        "model": {"id": "model:registry/m:1", "name": "m", "version": "1", "digest": "d", "run": None, "authors": [],
                  "created_by": "ada", "created_at": "2026-11-22T12:00:00Z"},
    }  # fmt: skip
    (model,) = explaining.tree(told)
    assert model.said == "m:1, by ada at 22 Nov 2026, 12:00:00 UTC"
    assert [(node.kind, node.tone) for node in model.below] == [("files", ""), ("job", "warn")]


def test_altered_evidence_stands_out_in_an_explanation() -> None:
    release = {"id": "r", "number": 1, "definition": "d", "definition_version": 1, "status": "completed",
               "created_by": "ada", "created_at": "x"}  # fmt: skip
    check = {"type": "scan", "outcome": "passed", "hash": "h", "intact": False, "reasons": ["fine"]}
    (found,) = explaining.tree({"release": release, "checks": [check]})
    assert (found.below[1].tone, found.below[1].said) == ("bad", "scan passed, CHANGED AFTERWARDS")


def test_an_error_with_its_cure_is_one_sentence_after_the_other() -> None:
    data = {"endpoint": "bikes", "error": "exited with code 3\n  Its log says more.\nLook:\n  there"}
    said = telling.sentence("deployment.failed", "deployment:a", data)
    assert said == "a deployment to bikes failed: exited with code 3. Its log says more. Look: there"


def test_guidelines_are_markdown_and_nothing_else_of_them_is_markup() -> None:
    found = words.prose("# How\n\nBe *quick* and **<b>kind</b>**, see `a < b`.\n\n- one\n- <script>two</script>")
    assert found == (
        "<p><b>How</b></p><p>Be <i>quick</i> and <b>&lt;b&gt;kind&lt;/b&gt;</b>, see <code>a &lt; b</code>.</p>"
        "<ul><li>one</li><li>&lt;script&gt;two&lt;/script&gt;</li></ul>"
    )
