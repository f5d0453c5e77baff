"""What a program asks of a server in Azure's words is asked in the server's: endpoints, batches, assets, workspaces."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import small_server
from small_server import Reply

from doubleloop.sdk import Input, MLClient, errors, frames, load_datastore, load_schedule, pipeline
from doubleloop.sdk.entities import BatchEndpoint, ManagedOnlineDeployment
from doubleloop.specs import documents

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ml(server: Any) -> MLClient:
    return MLClient(server.url, small_server.TOKEN, workspace="dev")


def deployment(status: str, **more: Any) -> dict[str, Any]:
    named = {"name": "blue", "endpoint_name": "hourly", "id": "d1", "spec": {"model": "azureml:bikes:3"}}
    return {**named, "status": status, **more}


def test_the_function_of_the_page_deploys_and_asks(server: Any, ml: MLClient) -> None:
    block = next(each for each in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "sdk.md").read_text(), re.DOTALL)
                 if "def deploy" in each)  # fmt: skip
    scope: dict[str, Any] = {"MLClient": MLClient}
    exec(block, scope)
    server.on("POST", "workspaces/dev/online-endpoints", lambda seen: {
        **{"name": "hourly", "auth_mode": "key", "scoring_uri": "http://x/score"},
        "traffic": documents.from_wire(seen.json["document"]).model.traffic,
    })  # fmt: skip
    server.on("POST", "workspaces/dev/online-endpoints/hourly/deployments", deployment("preparing"))
    server.on("GET", "workspaces/dev/online-endpoints/hourly/deployments/blue", deployment("starting"),
              deployment("ready"))  # fmt: skip
    server.on("POST", "workspaces/dev/online-endpoints/hourly/invoke", lambda seen: Reply(200, seen.body))
    assert scope["deploy"](ml, "azureml:bikes:3") == '{"input_data": {"columns": ["hour"], "data": [[8], [17]]}}'
    sent = [documents.from_wire(each.json["document"]).spec()
            for each in server.requests("POST", "workspaces/dev/online-endpoints(/hourly/deployments)?")]  # fmt: skip
    assert sent[1] == {"name": "blue", "endpoint_name": "hourly", "model": "azureml:bikes:3", "instance_count": 1}
    assert sent[2] == {"name": "hourly", "auth_mode": "key", "traffic": {"blue": 100}}


def test_a_deployment_that_fails_or_is_replaced_is_told(server: Any, ml: MLClient) -> None:
    blue = ManagedOnlineDeployment(name="blue", endpoint_name="hourly", model="azureml:bikes:3")
    with pytest.raises(TypeError, match="endpoint_name"):
        ManagedOnlineDeployment(name="blue")  # type: ignore[call-arg]
    server.on("POST", "workspaces/dev/online-endpoints/hourly/deployments", deployment("preparing"))
    place = "workspaces/dev/online-endpoints/hourly/deployments/blue"
    server.on("GET", place, deployment("failed", error={"message": "no module x", "cure": "Add it."}))
    poller = ml.online_deployments.begin_create_or_update(blue)
    assert poller.status() == "failed"
    with pytest.raises(errors.Failed, match="Deployment blue of hourly is failed: no module x\n  Add it"):
        poller.result()
    server.on("GET", place, deployment("ready", id="d2"))
    with pytest.raises(errors.Conflict, match="replaced"):
        ml.begin_create_or_update(blue).result()
    server.on("GET", place, deployment("starting"))
    with pytest.raises(errors.Unavailable, match="not ended after"):
        ml.online_deployments.begin_create_or_update(blue).result(timeout=0.01)
    assert ml.online_deployments.get("blue", "hourly").status == "starting"
    server.on("POST", "workspaces/dev/online-endpoints/hourly/invoke", Reply(424, b"model said no"))
    with pytest.raises(errors.InvalidInput, match="answered 424: model said no"):
        ml.online_endpoints.invoke("hourly", input_data=[1])
    with pytest.raises(errors.InvalidInput, match="nothing to send"):
        ml.online_endpoints.invoke("hourly")


def test_a_frame_is_asked_about_and_files_are_scored(server: Any, ml: MLClient, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    server.on("POST", "workspaces/dev/online-endpoints/hourly/invoke", lambda seen: Reply(200, seen.body))
    asked = ml.online_endpoints.invoke("hourly", input_data=pandas.DataFrame({"hour": [8, 17]}))
    assert asked == '{"input_data": {"columns":["hour"],"index":[0,1],"data":[[8],[17]]}}'
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "a.csv").write_text("hour\n8\n")
    server.on("POST", "workspaces/dev/batch-endpoints/scores/invoke", lambda seen: {"id": "j1", "status": "queued"})
    job = ml.batch_endpoints.invoke(
        "scores", input=Input(type="uri_folder", path=tmp_path / "rows"), deployment_name="nightly", mini_batch_size=2
    )  # fmt: skip
    document = documents.from_wire(server.requests("POST", ".*/invoke")[-1].json["document"])
    assert job.name == "j1" and document.model.inputs["job_data_path"].path.startswith("tree:sha256:")
    assert (document.model.deployment_name, document.model.mini_batch_size) == ("nightly", 2)
    server.on("GET", "workspaces/dev/batch-endpoints/scores", {"name": "scores", "defaults": {"deployment_name": "a"}})
    server.on("POST", "workspaces/dev/batch-endpoints", {"name": "scores", "defaults": {"deployment_name": "b"}})
    endpoint = ml.batch_endpoints.get("scores")
    endpoint.defaults.deployment_name = "b"
    assert ml.create_or_update(endpoint).defaults.deployment_name == "b"
    sent = documents.from_wire(server.requests("POST", "workspaces/dev/batch-endpoints")[-1].json["document"])
    assert sent.spec() == {"name": "scores", "defaults": {"deployment_name": "b"}}
    assert BatchEndpoint(name="new").document().spec() == {"name": "new"}


def test_what_a_server_keeps_stands_for_itself(server: Any, ml: MLClient) -> None:
    body = {
        "name": "bikes", "version": "3", "workspace": "dev", "type": "mlflow_model", "labels": ["champion.dev"],
        "path": "tree:sha256:" + "a" * 64, "tags": {"a": "b"}, "spec": {}, "created_by": "ada",
    }  # fmt: skip
    server.on("GET", "workspaces/dev/models/bikes/versions/@champion.dev", body)
    server.on("GET", "workspaces/registry/models/bikes/versions/@latest", {**body, "workspace": "registry"})
    found = ml.models.get("bikes", label="champion.dev")
    assert (found.id, found.type, found.labels, found.tags) == (
        "azureml:bikes:3", "mlflow_model", ["champion.dev"], {"a": "b"},
    )  # fmt: skip
    blue = ManagedOnlineDeployment(name="blue", endpoint_name="hourly", model=found)
    assert blue.document().spec()["model"] == "azureml:bikes:3"
    shared = MLClient(server.url, small_server.TOKEN, registry=True).models.get("bikes")
    assert shared.id == "azureml://registries/registry/models/bikes/versions/3"
    remote = {**body, "path": "https://x/y"}
    server.on("GET", "workspaces/dev/models/bikes/versions/@latest", remote)
    with pytest.raises(errors.NotSupported, match="not stored on the server"):
        ml.models.download("bikes")


def test_files_without_a_class_of_their_own_are_sent_too(server: Any, ml: MLClient) -> None:
    cases = ROOT / "tests" / "specs" / "referee" / "cases"
    server.on("POST", "workspaces/dev/datastores", {"name": "store"})
    server.on("POST", "workspaces/dev/monitors", {"name": "watch"})
    server.on("GET", "workspaces/dev/schedules/*", {"name": "watch", "kind": "monitor", "trigger": {
        "type": "cron", "expression": "0 1 * * *"}, "enabled": True})  # fmt: skip
    assert ml.datastores.create_or_update(load_datastore(cases / "datastore.yml")) == {"name": "store"}
    assert ml.schedules.create_or_update(load_schedule(cases / "monitor.yml")).is_enabled
    with pytest.raises(errors.InvalidInput, match="nothing that a server keeps"):
        ml.create_or_update(object())
    with pytest.raises(errors.InvalidInput, match="A pipeline's function is called first"):
        ml.jobs.create_or_update(pipeline(lambda: None), compute="x")  # type: ignore[arg-type]


def test_the_workspace_is_the_only_one_or_must_be_named(server: Any) -> None:
    server.on(
        "GET", "workspaces", {"items": [{"name": "dev"}, {"name": "registry", "is_registry": True}], "next": None}
    )
    assert MLClient(server.url, "t").workspace_name == "dev"
    server.on("GET", "workspaces", {"items": [{"name": "dev"}, {"name": "prod"}], "next": None})
    with pytest.raises(errors.InvalidInput, match="there are: dev, prod"):
        MLClient(server.url, "t")
    with pytest.raises(TypeError, match="from_login"):
        MLClient(object(), "subscription", workspace="w")  # type: ignore[arg-type]


def test_tables_are_read_as_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    table = tmp_path / "table"
    table.mkdir()
    (table / "a.csv").write_text("n;word\n1;x\n2;y\n")
    (table / "MLTable").write_text("paths:\n- file: ./a.csv\ntransformations:\n- read_delimited: {delimiter: ';'}\n")
    assert frames.read(table).to_dict("list") == {"n": [1, 2], "word": ["x", "y"]}
    pl.DataFrame({"n": [3]}).write_parquet(tmp_path / "b.parquet")
    assert frames.read(tmp_path / "b.parquet")["n"].tolist() == [3]
    with pytest.raises(errors.InvalidInput, match="holds no table"):
        (tmp_path / "empty").mkdir()
        frames.read(tmp_path / "empty")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(errors.Unavailable, match=r"needs pandas[\s\S]*pip install pandas"):
        frames.read(table)


def test_the_example_can_be_read_without_a_server() -> None:
    scope = runpy.run_path(str(ROOT / "examples" / "sdk" / "rides.py"))
    assert list(scope["busy_hours"]().document().spec()["jobs"]) == ["rides", "busy"]
