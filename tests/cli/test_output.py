"""What is printed: golden texts. Those of tsv, json and yaml come from knack 0.12, the printer of ``az``."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import Any

import pytest

from doubleloop.cli import output

TRAFFIC = [
    {"name": "blue", "traffic": 90, "on": True, "none": None, "list": [1, 2], "map": {"a": 1}},
    {"name": "green", "traffic": 10, "on": False, "none": None, "list": [], "map": {}},
]

# Made with knack.output.format_tsv.
KNACK_TSV = [
    ("x", "x\n"),
    ("naïve", "naïve\n"),
    (3, "3\n"),
    (2.5, "2.5\n"),
    (True, "true\n"),
    ([], ""),
    (["a", "b"], "a\nb\n"),
    ([True, None, 1], "true\nNone\n1\n"),
    (TRAFFIC, "2\t\tblue\tNone\tTrue\t90\n0\t\tgreen\tNone\tFalse\t10\n"),
    ({"b": 1, "a": [{"x": "y"}]}, "1\t1\n"),
    ([["a", 1, [1, 2]], ["b", 2, {}]], "a\t1\t2\nb\t2\t\n"),
]
# Made with knack.output.format_yaml (PyYAML, a YAML 1.1 writer).
KNACK_YAML = [
    (["a", "b"], "- a\n- b\n"),
    (
        TRAFFIC,
        "- list:\n  - 1\n  - 2\n  map:\n    a: 1\n  name: blue\n  none: null\n  'on': true\n  traffic: 90\n"
        "- list: []\n  map: {}\n  name: green\n  none: null\n  'on': false\n  traffic: 10\n",
    ),
    ({"b": 1, "a": [{"x": "y"}]}, "a:\n- x: y\nb: 1\n"),
    ([["a", 1, [1, 2]], ["b", 2, {}]], "- - a\n  - 1\n  - - 1\n    - 2\n- - b\n  - 2\n  - {}\n"),
]


@pytest.mark.parametrize(("value", "text"), KNACK_TSV)
def test_tsv_is_azs(value: Any, text: str) -> None:
    assert output.tsv(value) == text


@pytest.mark.parametrize(("value", "text"), KNACK_YAML)
def test_yaml_is_azs(value: Any, text: str) -> None:
    assert output.as_yaml(value) == text


def test_json_is_indented_by_two_and_keeps_letters() -> None:
    assert output.as_json({"name": "naïve", "list": [1]}) == '{\n  "name": "naïve",\n  "list": [\n    1\n  ]\n}\n'


JOBS = [
    {"id": "job-1", "display_name": "train", "kind": "pipeline", "status": "completed", "experiment": "taxi",
     "started_at": "2026-11-22T21:56:00.000000Z", "ended_at": "2026-11-22T21:58:05.500000Z", "created_by": "ada"},
    {"id": "job-2", "display_name": None, "kind": "command", "status": "queued", "experiment": "taxi",
     "started_at": None, "ended_at": None, "created_by": "grace"},
]  # fmt: skip


@pytest.fixture
def jobs(server: Any) -> None:
    server.on("GET", "workspaces/dev/jobs", {"items": JOBS, "next": None})


@pytest.mark.usefixtures("jobs")
def test_a_listing_as_a_table(terminal: Any) -> None:
    assert terminal("job", "list", "-o", "table").out == (
        "Name   Display name  Kind      Status     Experiment  Started               Ended                 By\n"
        "-----  ------------  --------  ---------  ----------  --------------------  --------------------  -----\n"
        "job-1  train         pipeline  completed  taxi        2026-11-22 21:56:00Z  2026-11-22 21:58:05Z  ada\n"
        "job-2                command   queued     taxi                                                    grace\n"
    )


@pytest.mark.usefixtures("jobs")
def test_into_a_pipe_the_answer_is_json_unless_asked_otherwise(terminal: Any) -> None:
    assert terminal("job", "list").json == JOBS
    assert terminal("job", "list", "-o", "json").json == JOBS
    assert terminal("job", "list", "-o", "none").out == ""


@pytest.mark.parametrize(
    ("query", "format_", "text"),
    [
        ("[].id", "tsv", "job-1\njob-2\n"),
        ("[0].status", "tsv", "completed\n"),
        ("[0].{name: id, by: created_by}", "tsv", "ada\tjob-1\n"),
        ("[].[id, status]", "tsv", "job-1\tcompleted\njob-2\tqueued\n"),
        ("[?status=='queued'].id", "json", '[\n  "job-2"\n]\n'),
        ("[0].{name: id}", "yaml", "name: job-1\n"),
        ("[].{Name: id, State: status}", "table", "Name   State\n-----  ---------\njob-1  completed\njob-2  queued\n"),
        ("[].id", "table", "Result\n------\njob-1\njob-2\n"),
        ("[].[id, kind]", "table", "Column1  Column2\n-------  --------\njob-1    pipeline\njob-2    command\n"),
        ("length(@)", "json", "2\n"),
        ("[0].nothing", "tsv", ""),
    ],
)
@pytest.mark.usefixtures("jobs")
def test_queries_are_jmespath(query: str, format_: str, text: str, terminal: Any) -> None:
    assert terminal("job", "list", "--query", query, "-o", format_).out == text


@pytest.mark.usefixtures("jobs")
def test_a_query_that_cannot_be_read_is_bad_input(terminal: Any) -> None:
    done = terminal("job", "list", "--query", "[0")
    assert (done.code, done.out) == (2, "")
    assert "error: The query cannot be read" in done.err
    assert "where: --query" in done.err


def test_one_thing_as_a_table_shows_its_fields(terminal: Any, server: Any) -> None:
    server.on(
        "GET", "workspaces/dev/data/bikes/versions/@latest",
        {"name": "bikes", "version": "3", "labels": ["production"], "tags": {"city": "dc"}, "job": None,
         "spec": {"type": "uri_file", "list": [{"a": 1}]}},
    )  # fmt: skip
    assert terminal("data", "show", "-n", "bikes", "-o", "table").out == (
        "Name     bikes\nVersion  3\nLabels   production\nTags:\n  City  dc\n"
        'Spec:\n  Type  uri_file\n  List:\n    - {"a": 1}\n'
    )


def test_an_empty_listing_says_so_to_people_and_is_empty_for_programs(terminal: Any, server: Any) -> None:
    server.on("GET", "workspaces/dev/models", {"items": [], "next": None})
    assert terminal("model", "list", "-o", "table").out == "Nothing there.\n"
    assert terminal("model", "list", "-o", "tsv").out == ""
    assert terminal("model", "list").json == []


def test_yaml_of_rules_reads_back_in_yaml_1_1_and_1_2() -> None:
    from ruamel.yaml import YAML

    rule = {"on": "monitor.alert", "do": [{"notify": "yes"}], "note": "a: b # c"}
    text = output.as_yaml(rule)
    for version in ((1, 1), (1, 2)):
        reader = YAML(typ="safe", pure=True)
        reader.version = version
        assert json.dumps(reader.load(text), sort_keys=True) == json.dumps(rule, sort_keys=True)


def test_a_reader_that_goes_away_is_no_error(terminal: Any, server: Any) -> None:
    gone = threading.Event()
    server.on("GET", "workspaces/dev/jobs", lambda _: gone.wait(30) and {"items": JOBS, "next": None})
    process = terminal.start("job", "list")
    process.stdout.close()
    gone.set()
    assert process.stderr.read() == ""
    assert process.wait(60) == 141


def test_a_full_disk_is_an_error(terminal: Any, server: Any) -> None:
    server.on("GET", "workspaces/dev/jobs", {"items": JOBS, "next": None})
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [terminal.program, "job", "list"], env=terminal.environ, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert done.stderr.decode().startswith("error: The output cannot be written: No space left on device")
