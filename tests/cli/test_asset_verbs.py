"""Assets from the command line: created from files and flags, looked at, labelled, fetched."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from doubleloop.base import errors
from doubleloop.specs import documents
from doubleloop.statistics import exploring

DATA = """$schema: https://azuremlschemas.azureedge.net/latest/data.schema.json
name: bikes
type: uri_file
path: bikes.csv
"""


def created(server: Any, noun: str) -> Any:
    """The document of the newest creation of a ``noun``, and the rest of its body."""
    body = server.requests("POST", f"workspaces/[a-z]+/{noun}")[-1].json
    return documents.from_wire(body.pop("document")).model, body


def echo(server: Any, noun: str, workspace: str = "dev") -> None:
    server.on(
        "POST", f"workspaces/{workspace}/{noun}", lambda seen: {"name": seen.json["document"]["spec"].get("name")}
    )


def test_data_is_created_from_a_file_and_its_bytes_arrive(terminal: Any, server: Any) -> None:
    echo(server, "data")
    terminal.file("bikes.csv", "a,b\n1,2\n")
    done = terminal("data", "create", "-f", terminal.file("data.yml", DATA))
    assert done.code == 0, done.err
    assert done.json == {"name": "bikes"}
    model, rest = created(server, "data")
    assert server.blobs.materialise(model.path, terminal.folder / "laid").read_text() == "a,b\n1,2\n"
    assert rest == {}


def test_flags_win_over_the_file_and_set_over_both_wins_where_no_flag_is(terminal: Any, server: Any) -> None:
    echo(server, "data")
    terminal.file("bikes.csv", "old")
    (terminal.folder / "sub").mkdir()
    terminal.file("new.csv", "new")
    done = terminal(
        "data", "create", "-f", terminal.file("sub/data.yml", DATA), "--path", "new.csv", "-n", "bikes2", "-v", "7",
        "--set", "description=yes: 1", "tags.city=dc", "--tags", "year=2013", "note=true", "-l", "production",
    )  # fmt: skip
    assert done.code == 0, done.err
    model, rest = created(server, "data")
    assert (model.name, model.version, model.description) == ("bikes2", "7", "yes: 1")
    assert model.tags == {"city": "dc", "year": "2013", "note": "true"}
    assert model.path.endswith("/new.csv")
    assert rest == {"label": "production"}


def test_flags_alone_are_enough(terminal: Any, server: Any) -> None:
    echo(server, "data")
    terminal.file("bikes.csv", "x")
    done = terminal("data", "create", "--name", "bikes", "--path", "./bikes.csv", "--type", "uri_file")
    assert done.code == 0, done.err
    assert created(server, "data")[0].path.endswith("/bikes.csv")


def test_standard_input_is_a_file(terminal: Any, server: Any) -> None:
    echo(server, "data")
    terminal.file("bikes.csv", "x")
    assert terminal("data", "create", "-f", "-", stdin=DATA).code == 0


def test_bad_files_are_told_with_file_line_and_cure_before_anything_is_sent(terminal: Any, server: Any) -> None:
    terminal.file("bikes.csv", "x")
    done = terminal("data", "create", "-f", terminal.file("data.yml", DATA + "typ: uri_file\n"))
    assert (done.code, done.out) == (2, "")
    assert "where: data.yml:5 (typ)" in done.err
    assert "'type'" in done.err
    assert terminal("data", "create", "-f", terminal.file("two.yml", DATA.replace("bikes.csv", "no.csv"))).code == 2
    assert terminal("data", "create").err == "error: There is no file to read\n  cure: Give it with -f FILE.\n"
    assert "not of the form path=value" in terminal("data", "create", "-f", "data.yml", "--set", "x").err
    assert server.seen == []


def test_what_only_azure_knows_is_noted_on_stderr(terminal: Any, server: Any) -> None:
    echo(server, "data")
    terminal.file("bikes.csv", "x")
    done = terminal("data", "create", "-f", terminal.file("d.yml", DATA + "datastore: azureml:workspaceblobstore\n"))
    assert "note: d.yml:5" in done.err
    assert "note: d.yml:5" not in terminal("data", "create", "-f", "d.yml", "--only-show-errors").err
    assert done.json == {"name": "bikes"}


def test_the_workspace_is_the_flag_then_the_variable_then_the_profile_then_the_only_one(
    terminal: Any, stranger: Any, server: Any
) -> None:
    for name in ("prod", "staging", "dev", "registry", "only"):
        server.on("GET", f"workspaces/{name}/models", {"items": [{"name": name}], "next": None})

    def used(*words: str, **variables: str) -> str:
        return str(terminal("model", "list", "--query", "[0].name", "-o", "tsv", *words, **variables).out.strip())

    assert used("-w", "prod", DOUBLELOOP_WORKSPACE="staging") == "prod"
    assert used("--workspace-name", "prod", "-g", "group", "--subscription", "x") == "prod"
    assert used(DOUBLELOOP_WORKSPACE="staging") == "staging"
    assert used("--registry-name", "registry", "-w", "prod") == "registry"
    assert used() == "dev"
    bare = {"DOUBLELOOP_URL": server.url, "DOUBLELOOP_HOME": "/nowhere"}
    server.on(
        "GET", "workspaces", {"items": [{"name": "only"}, {"name": "registry", "is_registry": True}], "next": None}
    )
    assert used(**bare) == "only"
    server.on("GET", "workspaces", {"items": [{"name": "only"}, {"name": "dev"}], "next": None})
    done = terminal("model", "list", **bare)
    assert done.code == 2
    assert "There are: only, dev." in done.err


def test_one_version_is_named_in_any_of_the_usual_ways(terminal: Any, server: Any) -> None:
    server.on("GET", "workspaces/dev/models/bikes/versions/*", lambda seen: {"version": seen.path.rsplit("/", 1)[1]})
    for words, wanted in (
        (["-n", "bikes", "-v", "3"], "3"), (["bikes:3"], "3"), (["bikes@production"], "@production"),
        (["azureml:bikes:3"], "3"), (["-n", "bikes", "--label", "latest"], "@latest"), (["bikes"], "@latest"),
    ):  # fmt: skip
        assert terminal("model", "show", *words, "--query", "version", "-o", "tsv").out == wanted + "\n"


def test_a_label_goes_to_the_number_it_names_now(terminal: Any, server: Any) -> None:
    server.on("GET", "workspaces/dev/data/bikes/versions/@latest", {"version": "4"})
    server.on("PUT", "workspaces/dev/data/bikes/labels/production", lambda seen: seen.json)
    assert terminal("data", "label", "-n", "bikes", "-l", "production").json == {"version": "4"}
    assert terminal("data", "set-label", "-n", "bikes", "-v", "2", "-l", "production").json == {"version": "2"}


def test_a_version_is_archived_or_without_one_all_of_them(terminal: Any, server: Any) -> None:
    versions = "workspaces/dev/models/bikes/versions"
    server.on("GET", f"{versions}/2", {"version": "2"})
    for number in ("1", "2"):
        server.on("POST", f"{versions}/{number}/archive", {"archived": number})
    assert terminal("model", "archive", "bikes:2").json == {"archived": "2"}
    server.on("GET", versions, {"items": [{"version": "2"}, {"version": "1"}], "next": None})
    assert terminal("model", "archive", "-n", "bikes").json == [{"archived": "2"}, {"archived": "1"}]


def test_a_model_arrives_in_a_folder_of_its_name(terminal: Any, server: Any) -> None:
    source = terminal.folder / "source"
    source.mkdir()
    (source / "MLmodel").write_text("flavors: {}")
    tree = server.blobs.put_tree(source)
    server.on("GET", "workspaces/dev/models/bikes/versions/3", {"version": "3", "path": f"tree:sha256:{tree.sha256}"})
    done = terminal("model", "download", "-n", "bikes", "-v", "3", "-p", "out")
    assert done.json == {"name": "bikes", "version": "3", "path": "out/bikes"}
    assert (terminal.folder / "out/bikes/MLmodel").read_text() == "flavors: {}"


def test_a_models_own_folder_name_is_kept(terminal: Any, server: Any) -> None:
    echo(server, "models")
    terminal.file("weights/model.pkl", "w")
    done = terminal("model", "create", "-n", "m", "-p", "weights", "-t", "custom_model")
    assert done.code == 0, done.err
    assert created(server, "models")[0].path.endswith("/weights")


def test_an_environment_takes_its_conda_file_along(terminal: Any, server: Any) -> None:
    echo(server, "environments")
    terminal.file("env/conda.yml", "dependencies: [python=3.11]\n")
    done = terminal("environment", "create", "-n", "e", "--image", "python:3.11", "--conda-file", "env/conda.yml")
    assert done.code == 0, done.err
    assert "python=3.11" in created(server, "environments")[0].conda_file.text


def test_a_build_tells_its_progress_on_stderr_and_its_result_on_stdout(terminal: Any, server: Any) -> None:
    lines = b'{"progress": "resolving 12 packages"}\n{"result": {"lock_digest": "ab", "reused": false}}\n'
    server.on("POST", "workspaces/dev/environments/e/versions/@latest/build", lambda _: _reply(lines))
    done = terminal("environment", "build", "-n", "e")
    assert done.json == {"lock_digest": "ab", "reused": False}
    assert "resolving 12 packages" in done.err


def test_an_error_of_the_server_arrives_with_its_exit_code(terminal: Any, server: Any) -> None:
    kinds = (errors.InvalidInput, errors.NotAuthenticated, errors.NotPermitted, errors.NotFound, errors.Conflict,
             errors.TooLarge, errors.NotSupported, errors.Failed)  # fmt: skip
    for kind in kinds:
        sent = kind("what it is", where=errors.Where("f.yml", 2, "a.b"), cure="what to do")
        server.on("GET", "workspaces/dev/models", _reply(sent.to_dict(), sent.status))
        done = terminal("model", "list", "-o", "json")
        assert (done.code, done.out) == (kind.exit_code, "")
        assert done.err == "error: what it is\n  where: f.yml:2 (a.b)\n  cure: what to do\n"


def test_no_server_is_an_error_soon(terminal: Any) -> None:
    done = terminal("model", "list", DOUBLELOOP_URL="http://127.0.0.1:9")
    assert done.code == 6
    assert "doubleloop up" in done.err


def _reply(body: Any, status: int = 200) -> Any:
    import small_server

    return small_server.Reply(status, body)


def test_contracts_are_attached_shown_and_detached(terminal: Any, server: Any) -> None:
    contract = {"name": "rides", "on_break": "refuse", "spec": {"columns": {"hour": {}}}, "created_by": "ada"}
    sent: list[Any] = []
    server.on("POST", "workspaces/dev/contracts", lambda seen: sent.append(seen.json) or contract)
    server.on("GET", "workspaces/dev/contracts", {"items": [contract], "next": None})
    server.on("GET", "workspaces/dev/contracts/rides", contract)
    check = {"version": "3", "outcome": "broken", "rows": 9, "reasons": ["column hour breaks 'at_most'"], "at": None}
    server.on("GET", "workspaces/dev/contracts/rides/checks", {"items": [check], "next": None})
    server.on("DELETE", "workspaces/dev/contracts/rides", {})
    file = terminal.file("c.yml", "$schema: doubleloop/contract\ncolumns: {hour: integer}\n")
    assert terminal("contract", "create", "-f", file, "--data", "rides").json["name"] == "rides"
    assert sent[0]["document"]["spec"]["data"] == "rides"
    assert "hour" in terminal("contract", "list", "-o", "table").out
    assert terminal("contract", "show", "-n", "rides").json["on_break"] == "refuse"
    assert "breaks 'at_most'" in terminal("contract", "checks", "rides", "-o", "table").out
    terminal("contract", "delete", "rides", "-y")


def test_a_table_is_looked_at_and_compared(terminal: Any, server: Any) -> None:
    before = pl.DataFrame({"x": [float(at) for at in range(100)], "kind": ["a", "b"] * 50, "y": [1.0, 0.0] * 50})
    after = before.with_columns(pl.col("x") + 50, pl.lit("c").alias("new"))
    told = {"data": "data:dev/bikes:2", **exploring.explore(after, "y")}
    asked: list[Any] = []

    def answer(seen: Any) -> Any:
        asked.append(seen.json)
        found = {**told, "comparison": {"with": "data:dev/bikes:1", **exploring.compare(before, after)}}
        lines = ({"progress": "reading rides"}, {"result": found})
        return "".join(json.dumps(each) + "\n" for each in lines).encode()

    server.on("POST", "workspaces/dev/data/bikes/versions/2/profile", answer)
    done = terminal("data", "profile", "-n", "bikes", "-v", "2", "--target", "y", "--against", "1", "-o", "table")
    assert done.code == 0, done.err
    assert asked == [{"target": "y", "against": "1"}] and "reading rides" in done.err
    assert done.out.startswith("data:dev/bikes:2: 100 rows, 0 of them copies\n")
    for words in (
        "x       float   numerical    0.0%     100 ", "50 … 99.5 … 149, mean 99.5, std 29.01", "a 50.0%, b 50.0%",
        "kind alone explains 100.0% of y: is it known before?", "new always holds the same value",
        "Since data:dev/bikes:1: 100 rows then, 100 now", "new: new column", "0.652  x: mean 49.5 -> 99.5",
    ):  # fmt: skip
        assert words in done.out, done.out


def test_labelling_projects_are_opened_worked_in_and_exported(terminal: Any, server: Any) -> None:
    project = {"name": "mails", "task": "entity_spans", "status": "open", "items": 2, "states": {"queued": 2}}
    item = {"number": 1, "state": "queued", "content": "pay  me", "path": None, "prelabel": None}
    sent: dict[str, Any] = {}
    base = "workspaces/dev/labeling-projects"

    def keeps(name: str, reply: Any) -> Any:
        def answer(seen: Any) -> Any:
            sent[name] = seen.json
            return reply

        return answer

    for verb in ("label", "review"):
        server.on("POST", f"{base}/mails/items/1/{verb}", keeps(verb, {**item, "state": "labelled"}))
    server.on("POST", base, keeps("create", project))
    server.on("GET", base, {"items": [project], "next": None})
    server.on("GET", f"{base}/mails", project)
    server.on("GET", f"{base}/mails/items", {"items": [item], "next": None})
    server.on("POST", f"{base}/mails/next", {"item": None})
    server.on("POST", f"{base}/mails/undo", keeps("undo", item))
    server.on("POST", f"{base}/mails/export", keeps("export", {"name": "out", "version": "3"}))
    server.on("DELETE", f"{base}/mails", {})
    file = terminal.file(
        "p.yml",
        "name: x\ntask: entity_spans\nlabels: [a]\ndata: azureml:d:1\ncolumn: t\noutput: o\n",
    )
    assert terminal("labeling", "create", "-f", file, "-n", "mails").json["name"] == "mails"
    assert sent["create"]["document"]["spec"]["name"] == "mails"
    assert "2 queued" in terminal("labeling", "list", "-o", "table").out
    assert "pay me" in terminal("labeling", "items", "mails", "-o", "table").out
    assert "Nothing of mails is left for you" in terminal("labeling", "next", "mails").err
    terminal("labeling", "label", "mails", "--item", "1", "--value", '[{"start": 0, "end": 3, "label": "a"}]')
    assert sent["label"] == {"value": [{"start": 0, "end": 3, "label": "a"}]}
    wrong = terminal("labeling", "label", "mails", "--item", "1", "--value", "[oops")
    assert wrong.code == 2 and "--value is not JSON" in wrong.err
    terminal("labeling", "review", "mails", "--item", "1", "--leave-out")
    assert sent["review"] == {"value": None, "leave_out": True}
    terminal("labeling", "undo", "mails")
    assert sent["undo"] == {}
    assert "Data out:3 is there" in terminal("labeling", "export", "mails", "--format", "conll", "--partial").err
    assert sent["export"] == {"format": "conll", "partial": True}
    numbers = {"labels": 2, "unchanged": 1, "left": 0}
    server.on("POST", f"{base}/mails/import", keeps("import", numbers))
    done = terminal("labeling", "import", "mails", "--data", "azureml:spans:1", "--format", "conll", "--proposals")
    assert "2 new, 1 known before; 0 items are not in it" in done.err
    assert sent["import"] == {"data": "azureml:spans:1", "format": "conll", "proposals": True}
    server.on("POST", f"{base}/mails/sync", {})
    assert "Label Studio is asked" in terminal("labeling", "sync", "mails").err
    server.on("POST", f"{base}/mails/train", keeps("train", {"id": "mails-train-1"}))
    assert "Job mails-train-1 is started" in terminal("labeling", "train", "mails", "--input", "rows").err
    assert sent["train"] == {"input": "rows"}
    assert terminal("labeling", "delete", "mails", "-y").code == 0
