"""What can be asked about jobs, and who is told of their end."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs_workshop import Workshop

from doubleloop.base import errors
from doubleloop.compute import ports as compute_ports
from doubleloop.compute.fake import FakeCompute
from doubleloop.durable import commands as durable
from doubleloop.durable.fake import EagerEngine
from doubleloop.jobs import commands, queries, workflows
from doubleloop.jobs.model import Edge, Status

HELLO = "{type: command, command: echo hi, environment: azureml:base@latest}"
PAIR = """
    type: pipeline
    jobs:
      make:
        command: echo 1 > ${{outputs.x}}
        environment: azureml:base@latest
        outputs: {x: {type: uri_file}}
      take:
        command: cat ${{inputs.y}}
        environment: azureml:base@latest
        inputs: {y: "${{parent.jobs.make.outputs.x}}"}
"""


def test_jobs_are_listed_newest_first_page_by_page(shop: Workshop) -> None:
    for number in range(5):
        shop.submit(HELLO, id=f"j{number}")
    shop.submit(PAIR, id="pair", user="grace")
    with shop.house.read() as ctx:
        first = queries.list(ctx, limit=4)
        second = queries.list(ctx, limit=4, cursor=first.next)
        assert [job.id for job in first.items] == ["pair", "j4", "j3", "j2"]
        assert ([job.id for job in second.items], second.next) == (["j1", "j0"], None)
        assert [job.id for job in queries.list(ctx, kind="pipeline").items] == ["pair"]
        assert [job.id for job in queries.list(ctx, created_by="grace").items] == ["pair"]
        assert queries.counts(ctx) == {Status.QUEUED: 6}
        assert queries.list(ctx, statuses=["completed"]).items == []
        with pytest.raises(errors.InvalidInput, match="finished"):
            queries.list(ctx, statuses=["finished"])
        with pytest.raises(errors.InvalidInput, match="cursor"):
            queries.list(ctx, cursor="x")


def test_a_job_is_seen_in_its_own_workspace_only(shop: Workshop) -> None:
    shop.submit(HELLO, id="mine")
    with shop.house.read("ada", "staging") as ctx:
        assert queries.list(ctx).items == []
        with pytest.raises(errors.NotFound, match="no job mine in staging"):
            queries.show(ctx, "mine")
    with shop.house.write("ada", "staging") as ctx, pytest.raises(errors.Conflict, match="exists in dev"):
        commands.submit(ctx, shop.document(HELLO), id="mine")


def test_the_graph_shows_what_flows_where(shop: Workshop) -> None:
    job = shop.submit(PAIR)
    with shop.house.read() as ctx:
        graph = queries.graph(ctx, job.id)
    assert [step.name for step in graph.steps] == ["make", "take"]
    assert graph.edges == (Edge("make", "take", "x", "y"),)


def test_a_step_that_does_not_exist_is_told_with_those_that_do(shop: Workshop) -> None:
    job = shop.submit(PAIR)
    with shop.house.read() as ctx:
        with pytest.raises(errors.NotFound, match="no step 'mke'") as caught:
            queries.log(ctx, job.id, "mke")
        assert "make, take" in caught.value.cure
        assert queries.log(ctx, job.id, "make") == (b"", False)


def test_who_asked_is_told_the_end_by_a_signal(shop: Workshop) -> None:
    async def wait(flow, argument):  # type: ignore[no-untyped-def]
        return await flow.wait(f"job:{argument['job']}", 600)

    shop.engine = EagerEngine(shop.contexts, {**workflows.WORKFLOWS, "test.wait": wait})
    with shop.house.write() as ctx:
        durable.start(ctx, "test.wait", "waiting", {"job": "told"})
    job = shop.run(HELLO, id="told", notify="waiting")
    assert shop.engine.results["waiting"] == {"job": job.id, "status": "completed", "reason": "", "outputs": {}}


@pytest.mark.parametrize("service", ["service:releases", "service:automation"])
def test_the_systems_own_processes_may_submit_jobs(shop: Workshop, service: str) -> None:
    job = shop.run(HELLO, user=service, purpose={"rule": "retrain"})
    assert (job.status, job.created_by) == (Status.COMPLETED, service)
    assert shop.tracking.runs[str(job.run_id)]["tags"]["doubleloop.purpose"] == '{"rule":"retrain"}'


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "rides.csv").write_text("1\n")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_an_address_is_fetched_and_kept_by_its_content(shop: Workshop, address: str) -> None:
    text = f"""
    type: command
    command: basename ${{{{inputs.x}}}}; cat ${{{{inputs.x}}}}
    environment: azureml:base@latest
    inputs: {{x: {{type: uri_file, path: "{address}/rides.csv"}}}}
    """
    job = shop.run(text)
    assert job.status is Status.COMPLETED, job.error
    assert shop.log(job.id).endswith("rides.csv\n1\n")
    assert len(shop.steps(job.id)["command"].inputs["x"]["digest"]) == 64


def test_the_environment_of_a_command_holds_nothing_of_ours(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    fake = FakeCompute()
    shop.house.ports[compute_ports.Compute] = fake
    shop.run(HELLO)
    assert set(fake.started[0].env) == {
        "OMP_NUM_THREADS", "DOUBLELOOP_JOB", "DOUBLELOOP_STEP", "DOUBLELOOP_WORKSPACE", "AZUREML_ROOT_RUN_ID",
        "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID",
        "MLFLOW_RUN_ID",
    }  # fmt: skip


def test_nothing_of_an_ended_attempt_is_left_lying_about(shop: Workshop) -> None:
    shop.run(PAIR)
    shop.run("{type: command, command: exit 1, environment: azureml:base@latest}")
    steps = Path(shop.house.home) / "steps"
    assert [path for path in steps.rglob("*") if path.is_file()] == []
