"""What one workspace tracks is not there for another: not in lists, not by id, name, alias or path, not by GraphQL, and
no answer tells a thing of another workspace from one that never was."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from api_server import Served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MARK = "moonlight"  # in everything that the one workspace holds
API = "/api/2.0/mlflow"
API3 = "/api/3.0/mlflow"


class Door:
    """One person at the door of one workspace."""

    def __init__(self, served: Served, user: str, workspace: str) -> None:
        self.client = httpx.Client(
            base_url=f"{served.url}/mlflow/w/{workspace}", timeout=60,
            headers={"authorization": f"Bearer {served.tokens[user]}"},
        )  # fmt: skip

    def ask(self, method: str, path: str, /, **body: Any) -> httpx.Response:
        if method == "GET":
            return self.client.get(path, params=body)
        return self.client.request(method, path, json=body)

    def done(self, method: str, path: str, /, **body: Any) -> dict[str, Any]:
        answer = self.ask(method, path, **body)
        assert answer.status_code == 200, (path, answer.text)
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found


@pytest.fixture
def doors(two: Served) -> tuple[Door, Door]:
    return Door(two, "moon", "night"), Door(two, "sun", "day")


@pytest.fixture
def things(doors: tuple[Door, Door]) -> dict[str, str]:
    """One of everything in the one workspace, made through the door."""
    night, _ = doors
    name = f"{MARK}-{secrets.token_hex(4)}"
    experiment = night.done("POST", f"{API}/experiments/create", name=name)["experiment_id"]
    run = night.done(
        "POST", f"{API}/runs/create", experiment_id=experiment, run_name=name,
        tags=[{"key": "mark", "value": MARK}],
    )["run"]["info"]  # fmt: skip
    night.done("POST", f"{API}/runs/log-metric", run_id=run["run_id"], key=f"{MARK}-loss", value=1.5, timestamp=1)
    night.done("POST", f"{API}/runs/log-parameter", run_id=run["run_id"], key="p", value=MARK)
    night.done(
        "POST", f"{API}/runs/log-inputs", run_id=run["run_id"],
        datasets=[{"dataset": {"name": name, "digest": "d", "source_type": "x", "source": MARK}}],
    )  # fmt: skip
    path = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    target = f"/api/2.0/mlflow-artifacts/artifacts/{path}/model/MLmodel"
    put = night.client.put(target, content=f"flavors: {{}} # {MARK}")
    assert put.status_code == 200, put.text
    logged = night.done(
        "POST", f"{API}/logged-models", experiment_id=experiment, name=name, source_run_id=run["run_id"],
    )["model"]["info"]  # fmt: skip
    night.done("POST", f"{API}/registered-models/create", name=name, description=MARK)
    version = night.done(
        "POST", f"{API}/model-versions/create", name=name, run_id=run["run_id"], source=f"{run['artifact_uri']}/model",
        description=MARK,
    )["model_version"]["version"]  # fmt: skip
    night.done("POST", f"{API}/registered-models/alias", name=name, alias="best", version=version)
    dataset = night.done("POST", f"{API3}/datasets/create", name=name, experiment_ids=[experiment])["dataset"]
    trace = f"tr-{secrets.token_hex(16)}"
    night.done("POST", f"{API3}/traces", trace={"trace_info": {
        "trace_id": trace, "trace_location": {"type": "MLFLOW_EXPERIMENT",
                                              "mlflow_experiment": {"experiment_id": experiment}},
        "request_time": "2026-01-01T00:00:00Z", "execution_duration": "1s", "state": "OK",
        "request_preview": MARK, "tags": {"mark": MARK},
    }})  # fmt: skip
    return {
        "name": name, "experiment": experiment, "run": run["run_id"], "path": path, "uri": run["artifact_uri"],
        "model": logged["model_id"], "version": str(version), "dataset": dataset["dataset_id"], "trace": trace,
    }  # fmt: skip


def never(things: dict[str, str]) -> dict[str, str]:
    """Ids of the same shape that nothing ever had."""
    experiment = "9" * len(things["experiment"]) + "77"
    where = re.sub(r"/\d+/[0-9a-f]{32}", f"/{experiment}/{'0' * 32}", things["path"])
    return {
        "name": "x" * len(things["name"]), "experiment": experiment, "run": "0" * 32,
        "path": where, "model": "m-" + "0" * (len(things["model"]) - 2),
        "uri": f"mlflow-artifacts:/{where}", "version": things["version"],
        "dataset": "d-" + "0" * (len(things["dataset"]) - 2), "trace": "tr-" + "f" * 32,
    }  # fmt: skip


def reads(t: dict[str, str]) -> list[tuple[str, str, dict[str, Any]]]:
    """Every way to ask for something by what it is called, or to change it."""
    files = "/api/2.0/mlflow-artifacts/artifacts"
    return [
        ("GET", f"{API}/experiments/get", {"experiment_id": t["experiment"]}),
        ("GET", f"{API}/experiments/get-by-name", {"experiment_name": t["name"]}),
        ("POST", f"{API}/experiments/update", {"experiment_id": t["experiment"], "new_name": "taken"}),
        ("POST", f"{API}/experiments/delete", {"experiment_id": t["experiment"]}),
        ("POST", f"{API}/experiments/restore", {"experiment_id": t["experiment"]}),
        ("POST", f"{API}/experiments/set-experiment-tag", {"experiment_id": t["experiment"], "key": "a", "value": "b"}),
        ("POST", f"{API}/experiments/search-datasets", {"experiment_ids": [t["experiment"]]}),
        ("POST", f"{API}/runs/create", {"experiment_id": t["experiment"], "start_time": 1}),
        ("GET", f"{API}/runs/get", {"run_id": t["run"]}),
        ("GET", f"{API}/runs/get", {"run_uuid": t["run"]}),
        ("POST", f"{API}/runs/update", {"run_id": t["run"], "run_name": "taken"}),
        ("POST", f"{API}/runs/delete", {"run_id": t["run"]}),
        ("POST", f"{API}/runs/restore", {"run_id": t["run"]}),
        ("POST", f"{API}/runs/log-metric", {"run_id": t["run"], "key": "a", "value": 1.0, "timestamp": 1}),
        ("POST", f"{API}/runs/log-parameter", {"run_id": t["run"], "key": "a", "value": "b"}),
        ("POST", f"{API}/runs/set-tag", {"run_id": t["run"], "key": "a", "value": "b"}),
        ("POST", f"{API}/runs/delete-tag", {"run_id": t["run"], "key": "mark"}),
        ("POST", f"{API}/runs/log-batch",
         {"run_id": t["run"], "metrics": [{"key": "z", "value": 1.0, "timestamp": 1, "step": 0}]}),
        ("POST", f"{API}/runs/log-batch", {"run_id": t["run"], "params": [{"key": "z", "value": "1"}]}),
        ("POST", f"{API}/runs/log-batch", {"run_id": t["run"], "tags": [{"key": "z", "value": "1"}]}),
        ("POST", f"{API}/runs/log-model", {"run_id": t["run"], "model_json": json.dumps(
            {"artifact_path": "m", "run_id": t["run"], "utc_time_created": "x", "flavors": {}})}),
        ("POST", f"{API}/runs/log-inputs", {"run_id": t["run"], "models": [{"model_id": t["model"]}]}),
        ("POST", f"{API}/runs/outputs", {"run_id": t["run"], "models": [{"model_id": t["model"], "step": 1}]}),
        ("POST", f"{API}/runs/search", {"experiment_ids": [t["experiment"]]}),
        ("POST", f"{API}/runs/search",
         {"experiment_ids": [t["experiment"]], "filter": f"attributes.run_id='{t['run']}'"}),
        ("GET", f"{API}/metrics/get-history", {"run_id": t["run"], "metric_key": f"{MARK}-loss"}),
        ("GET", f"{API}/metrics/get-history-bulk", {"run_id": t["run"], "metric_key": f"{MARK}-loss"}),
        ("GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk", {"run_id": t["run"], "metric_key": f"{MARK}-loss"}),
        ("GET", f"{API}/metrics/get-history-bulk-interval",
         {"run_ids": t["run"], "metric_key": f"{MARK}-loss", "max_results": 5}),
        ("GET", f"{API}/artifacts/list", {"run_id": t["run"]}),
        ("GET", f"{API}/artifacts/list", {"run_id": t["run"], "path": "model"}),
        ("GET", "/get-artifact", {"run_id": t["run"], "path": "model/MLmodel"}),
        ("GET", "/get-artifact", {"run_uuid": t["run"], "path": "model/MLmodel"}),
        ("GET", files, {"path": t["path"]}),
        ("GET", files, {"path": f"./{t['path']}"}),
        ("GET", files, {"path": f"x/../../night/{t['path'].removeprefix('workspaces/night/')}"}),
        ("GET", f"{files}/{t['path']}/model/MLmodel", {}),
        ("GET", f"{files}/{quote(t['path'], safe='')}%2Fmodel%2FMLmodel", {}),
        ("GET", f"{files}/{quote(quote(t['path'], safe=''))}%252Fmodel%252FMLmodel", {}),
        ("GET", f"{files}//{t['path']}/model/MLmodel", {}),
        ("GET", f"{files}/{t['path'].removeprefix('workspaces/night/')}/model/MLmodel", {}),
        ("DELETE", f"{files}/{t['path']}/model/MLmodel", {}),
        ("POST", f"/api/2.0/mlflow-artifacts/mpu/create/{t['path']}/model", {"path": "MLmodel", "num_parts": 1}),
        ("GET", f"{API}/logged-models/{t['model']}", {}),
        ("PATCH", f"{API}/logged-models/{t['model']}", {"model_id": t["model"], "status": "LOGGED_MODEL_READY"}),
        ("PATCH", f"{API}/logged-models/{t['model']}/tags", {"tags": [{"key": "a", "value": "b"}]}),
        ("POST", f"{API}/logged-models/{t['model']}/params", {"params": [{"key": "a", "value": "b"}]}),
        ("DELETE", f"{API}/logged-models/{t['model']}/tags/mark", {}),
        ("DELETE", f"{API}/logged-models/{t['model']}", {}),
        ("GET", f"{API}/logged-models/{t['model']}/artifacts/directories", {}),
        ("GET", f"/ajax-api/2.0/mlflow/logged-models/{t['model']}/artifacts/files", {"artifact_file_path": "MLmodel"}),
        ("POST", f"{API}/logged-models", {"experiment_id": t["experiment"], "name": "mine"}),
        ("POST", f"{API}/logged-models/search", {"experiment_ids": [t["experiment"]]}),
        ("GET", f"{API}/registered-models/get", {"name": t["name"]}),
        ("PATCH", f"{API}/registered-models/update", {"name": t["name"], "description": "taken"}),
        ("POST", f"{API}/registered-models/set-tag", {"name": t["name"], "key": "a", "value": "b"}),
        ("DELETE", f"{API}/registered-models/delete-tag", {"name": t["name"], "key": "a"}),
        ("POST", f"{API}/registered-models/get-latest-versions", {"name": t["name"]}),
        ("GET", f"{API}/registered-models/alias", {"name": t["name"], "alias": "best"}),
        ("POST", f"{API}/registered-models/alias", {"name": t["name"], "alias": "worst", "version": t["version"]}),
        ("DELETE", f"{API}/registered-models/alias", {"name": t["name"], "alias": "best"}),
        ("GET", f"{API}/model-versions/get", {"name": t["name"], "version": t["version"]}),
        ("GET", f"{API}/model-versions/get-download-uri", {"name": t["name"], "version": t["version"]}),
        ("PATCH", f"{API}/model-versions/update", {"name": t["name"], "version": t["version"], "description": "x"}),
        ("POST", f"{API}/model-versions/set-tag",
         {"name": t["name"], "version": t["version"], "key": "a", "value": "b"}),
        ("POST", f"{API}/model-versions/transition-stage",
         {"name": t["name"], "version": t["version"], "stage": "Production"}),
        ("GET", "/model-versions/get-artifact", {"name": t["name"], "version": t["version"], "path": "MLmodel"}),
        ("GET", f"{API}/model-versions/search", {"filter": f"name='{t['name']}'"}),
        ("GET", f"{API}/model-versions/search", {"filter": f"run_id='{t['run']}'"}),
        ("GET", f"{API}/registered-models/search", {"filter": f"name='{t['name']}'"}),
        ("GET", f"{API3}/datasets/{t['dataset']}", {}),
        ("GET", f"{API3}/datasets/{t['dataset']}/records", {}),
        ("GET", f"{API3}/datasets/{t['dataset']}/experiment-ids", {}),
        ("PATCH", f"{API3}/datasets/{t['dataset']}/tags", {"tags": json.dumps({"a": "b"})}),
        ("POST", f"{API3}/datasets/{t['dataset']}/records", {"records": json.dumps([{"inputs": {"a": 1}}])}),
        ("POST", f"{API3}/datasets/{t['dataset']}/add-experiments", {"experiment_ids": [t["experiment"]]}),
        ("DELETE", f"{API3}/datasets/{t['dataset']}", {}),
        ("POST", f"{API3}/datasets/search", {"experiment_ids": [t["experiment"]]}),
        ("POST", f"{API3}/datasets/create", {"name": "mine", "experiment_ids": [t["experiment"]]}),
        ("GET", f"{API3}/traces/{t['trace']}", {}),
        ("GET", f"{API3}/traces/get", {"trace_id": t["trace"]}),
        ("GET", f"{API3}/traces/batchGet", {"trace_ids": t["trace"]}),
        ("POST", f"{API3}/traces/batchGetInfos", {"trace_ids": [t["trace"]]}),
        ("GET", f"{API}/traces/{t['trace']}/info", {}),
        ("PATCH", f"{API3}/traces/{t['trace']}/tags", {"key": "a", "value": "b"}),
        ("DELETE", f"{API3}/traces/{t['trace']}/tags", {"key": "mark"}),
        ("POST", f"{API3}/traces/{t['trace']}/assessments", {"assessment": {
            "assessment_name": "a", "trace_id": t["trace"], "source": {"source_type": "HUMAN", "source_id": "x"},
            "feedback": {"value": True}}}),
        ("POST", f"{API3}/traces/delete-traces",
         {"experiment_id": t["experiment"], "request_ids": [t["trace"]]}),
        ("POST", f"{API3}/traces/search", {"locations": [
            {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": t["experiment"]}}]}),
        ("GET", f"{API}/traces", {"experiment_ids": t["experiment"]}),
        ("POST", f"{API3}/traces/link-to-run", {"trace_ids": [t["trace"]], "run_id": t["run"]}),
        ("GET", "/ajax-api/2.0/mlflow/get-trace-artifact", {"request_id": t["trace"]}),
        ("GET", "/ajax-api/3.0/mlflow/get-trace-artifact", {"request_id": t["trace"]}),
        ("POST", f"{API3}/traces/metrics",
         {"experiment_ids": [t["experiment"]], "view_type": "TRACES", "metric_name": "trace_count",
          "aggregations": [{"aggregation_type": "COUNT"}]}),
        ("POST", f"{API3}/traces/calculate-filter-correlation",
         {"experiment_ids": [t["experiment"]], "filter_string1": "tag.mark='x'", "filter_string2": "status='OK'"}),
        ("GET", f"{API3}/issues/{t['trace']}", {}),
        ("POST", f"{API3}/issues/search", {"experiment_id": t["experiment"]}),
        ("POST", "/graphql", {"query": f'query {{ mlflowGetRun(input: {{runId: "{t["run"]}"}}) '
                                       "{ apiError { code message } run { info { runName } data { params { value } } "
                                       "modelVersions { name } } } }"}),
        ("POST", "/graphql", {"query": f'query {{ mlflowGetExperiment(input: {{experimentId: "{t["experiment"]}"}}) '
                                       "{ apiError { code message } experiment { name } } }"}),
        ("POST", "/graphql", {"query": f'query {{ mlflowSearchModelVersions(input: {{filter: "name=\'{t["name"]}\'"}}) '
                                       "{ apiError { code } modelVersions { name description } } }"}),
        ("POST", "/graphql", {"query": f'query {{ mlflowSearchRuns(input: {{experimentIds: ["{t["experiment"]}"]}}) '
                                       "{ apiError { code } runs { info { runName } } } }"}),
        ("POST", "/graphql", {"query": f'query {{ mlflowListArtifacts(input: {{runId: "{t["run"]}", path: "model"}}) '
                                       "{ apiError { code message } files { path } } }"}),
        ("POST", "/graphql", {"query": "query { mlflowGetMetricHistoryBulkInterval(input: "
                                       f'{{runIds: ["{t["run"]}"], metricKey: "{MARK}-loss", maxResults: 5}}) '
                                       "{ apiError { code message } metrics { key value } } }"}),
        ("POST", "/graphql", {"query": "mutation { mlflowSearchDatasets(input: "
                                       f'{{experimentIds: ["{t["experiment"]}"]}}) '
                                       "{ apiError { code message } datasetSummaries { name } } }"}),
    ]  # fmt: skip


def told(answer: httpx.Response, t: dict[str, str]) -> tuple[int, str]:
    """Status and words, with what was asked for, and what differs from one answer to the next, taken out of them."""
    text = answer.text
    for value in sorted({*t.values(), quote(t["path"], safe="")}, key=len, reverse=True):
        text = re.sub(rf"(?<![\w-]){re.escape(value)}(?![\w-])", "THING", text)
    return answer.status_code, re.sub(r'd-[0-9a-f]{32}|"digest": "[0-9a-f]+"|\d{13}', "", text)


def test_no_answer_tells_a_thing_of_another_workspace_from_one_that_never_was(
    doors: tuple[Door, Door], things: dict[str, str]
) -> None:
    night, day = doors
    nothing = never(things)
    different = []
    for (method, path, body), (_, other, none) in zip(reads(things), reads(nothing), strict=True):
        theirs, nowhere = day.ask(method, path, **body), day.ask(method, other, **none)
        if MARK in theirs.text.replace(things["name"], "").replace(f"{MARK}-loss", ""):
            different.append(("LEAK", method, path, theirs.text[:300]))
        if told(theirs, things) != told(nowhere, nothing):
            different.append((method, path, told(theirs, things), told(nowhere, nothing)))
    assert different == [], "\n".join(map(str, different))
    # Nothing of all that changed anything.
    run = night.done("GET", f"{API}/runs/get", run_id=things["run"])["run"]
    assert (run["info"]["run_name"], run["info"]["lifecycle_stage"]) == (things["name"], "active")
    assert [each["key"] for each in run["data"]["params"]] == ["p"]
    assert {each["key"] for each in run["data"]["tags"]} >= {"mark"} and "z" not in str(run["data"])
    assert night.client.get(f"/api/2.0/mlflow-artifacts/artifacts/{things['path']}/model/MLmodel").status_code == 200
    assert night.done("GET", f"{API}/registered-models/alias", name=things["name"], alias="best")
    assert night.done("GET", f"{API}/logged-models/{things['model']}")["model"]["info"]["name"] == things["name"]
    assert night.done("GET", f"{API3}/datasets/{things['dataset']}")["dataset"]["name"] == things["name"]
    assert night.done("GET", f"{API3}/traces/{things['trace']}")


def test_each_of_these_ways_leads_to_something_in_ones_own(doors: tuple[Door, Door], things: dict[str, str]) -> None:
    """Else the test above would prove nothing."""
    night, _ = doors
    seen = 0
    for method, path, body in reads(things):
        if method == "GET" or path.endswith(("search", "batchGetInfos", "graphql")):
            seen += MARK in night.ask(method, path, **body).text
    assert seen > 30


def test_a_name_may_be_used_in_each_workspace_and_numbers_are_counted_over_all(
    doors: tuple[Door, Door], things: dict[str, str]
) -> None:
    night, day = doors
    run = day.done("POST", f"{API}/runs/create", experiment_id="0", start_time=1)["run"]["info"]
    day.done("POST", f"{API}/experiments/create", name=things["name"])
    day.done("POST", f"{API}/registered-models/create", name=things["name"])
    source = f"{run['artifact_uri']}/model"
    made = [
        day.done("POST", f"{API}/model-versions/create", name=things["name"], source=source, run_id=run["run_id"],
                 tags=[{"key": "team", "value": "sun"}])["model_version"]
        for _ in range(2)
    ]  # fmt: skip
    assert [each["version"] for each in made] == ["2", "3"]
    assert [each["tags"] for each in made] == [[{"key": "team", "value": "sun"}]] * 2
    search = f"name='{things['name']}'"
    for door, numbers in ((day, ["3", "2"]), (night, ["1"])):
        found = door.done("GET", f"{API}/model-versions/search", filter=search)["model_versions"]
        assert [each["version"] for each in found] == numbers
    # Nobody takes another's files, or run, for a version of their own.
    for more in ({"source": things["uri"]}, {"source": things["uri"], "run_id": things["run"]},
                 {"source": f"models:/{things['name']}/1"}, {"source": source, "run_id": things["run"]},
                 {"source": f"{run['artifact_uri']}/../../../night"}):  # fmt: skip
        assert day.ask("POST", f"{API}/model-versions/create", name=things["name"], **more).status_code in (400, 404)


def test_experiment_0_is_each_workspaces_own(doors: tuple[Door, Door]) -> None:
    night, day = doors
    mine = [each.done("GET", f"{API}/experiments/get", experiment_id="0")["experiment"] for each in doors]
    assert [each["name"] for each in mine] == ["Default"] * 2
    assert mine[0]["experiment_id"] != mine[1]["experiment_id"]
    run = night.done("POST", f"{API}/runs/create", experiment_id="0", start_time=1)["run"]["info"]
    assert run["experiment_id"] == mine[0]["experiment_id"]
    found = night.done("POST", f"{API}/runs/search", experiment_ids=["0"])["runs"]
    assert found[0]["info"]["run_id"] == run["run_id"]
    assert run["run_id"] not in json.dumps(day.done("POST", f"{API}/runs/search", experiment_ids=["0"]))


def test_pages_of_a_list_are_full_however_much_others_have(doors: tuple[Door, Door]) -> None:
    night, day = doors
    names = [f"page-{secrets.token_hex(4)}" for _ in range(5)]
    for name in names:
        for door in (night, day):
            door.done("POST", f"{API}/experiments/create", name=f"{name}-{'night' if door is night else 'day'}")
    found: list[str] = []
    token = None
    while True:
        body = {"max_results": 2, "filter": "name LIKE 'page-%'", **({"page_token": token} if token else {})}
        page = day.done("POST", f"{API}/experiments/search", **body)
        found += [each["name"] for each in page["experiments"]]
        token = page.get("next_page_token")
        if not token:
            break
        assert len(page["experiments"]) == 2
    assert {f"{name}-day" for name in names} <= set(found) and not [each for each in found if each.endswith("night")]


def test_a_callers_own_word_of_the_workspace_does_not_count(doors: tuple[Door, Door], things: dict[str, str]) -> None:
    _, day = doors
    said = {"X-MLFLOW-WORKSPACE": "night"}
    answer = day.client.get(f"{API}/runs/get", params={"run_id": things["run"]}, headers=said)
    assert answer.status_code == 404
    assert day.client.get(f"{API3}/workspaces").status_code == 403
    assert day.done("GET", f"{API3}/server-info")["workspaces_enabled"] is False


def test_the_page_and_its_files_open_for_who_is_logged_in(doors: tuple[Door, Door], things: dict[str, str]) -> None:
    night, _ = doors
    page = night.client.get("/")
    script = re.search(r'src="(static-files/[^"]+\.js)"', page.text)
    assert page.status_code == 200 and script
    assert night.client.get(f"/{script[1]}").status_code == 200
    base = str(night.client.base_url).rstrip("/")
    assert httpx.get(base, headers=night.client.headers).headers["location"].endswith("/mlflow/w/night/")
    stranger = httpx.get(f"{base}/", headers={"accept": "text/html"})
    assert (stranger.status_code, stranger.headers["location"]) == (303, "/login?next=/mlflow/w/night/")
    # The console's cookie opens it; what changes something must come from a page of this host.
    cookie = {"cookie": f"doubleloop_session={night.client.headers['authorization'].removeprefix('Bearer ')}"}
    asked = {"experiment_ids": [things["experiment"]]}
    for site, status in (("same-origin", 200), ("cross-site", 401), ("same-site", 401), ("", 401)):
        headers = {**cookie, **({"sec-fetch-site": site} if site else {})}
        assert httpx.post(f"{base}/ajax-api/2.0/mlflow/runs/search", json=asked, headers=headers).status_code == status
    files = night.client.get("/get-artifact", params={"run_id": things["run"], "path": "model/MLmodel"})
    assert "sandbox" in files.headers["content-security-policy"]
