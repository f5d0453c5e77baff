"""A command job from submit to done, with real processes."""

from __future__ import annotations

import json
from pathlib import Path

from jobs_workshop import LOCK, Workshop

from doubleloop.jobs import queries
from doubleloop.jobs.model import Status

HELLO = """
    type: command
    command: echo hello ${{inputs.name}} > ${{outputs.greeting}}/hello.txt; echo done
    environment: azureml:base@latest
    display_name: Say hello
    experiment_name: greetings
    inputs: {name: world}
    outputs: {greeting: {type: uri_folder}}
"""


def test_a_command_runs_and_its_output_is_kept(shop: Workshop) -> None:
    job = shop.run(HELLO, purpose={"kind": "test"})
    assert (job.status, job.error) == (Status.COMPLETED, "")
    step = shop.steps(job.id)["command"]
    assert (step.status, step.attempt, step.exit_code, step.environment_lock) == (Status.COMPLETED, 1, 0, LOCK)
    assert shop.text(job.outputs["greeting"], "hello.txt") == "hello world\n"
    assert "done" in shop.log(job.id)


def test_facts_tell_the_whole_life(shop: Workshop) -> None:
    job = shop.run(HELLO, purpose={"kind": "test"})
    about = [fact for fact in shop.facts() if fact.data.get("job") == job.id]
    assert [fact.type for fact in about] == [
        "job.submitted",
        "job.started",
        "step.started",
        "step.completed",
        "job.completed",
    ]
    assert all(fact.data["purpose"] == {"kind": "test"} for fact in about)
    assert about[-1].data["outputs"]["greeting"]["reference"].startswith("tree:sha256:")


def test_the_command_finds_its_tracking_run(shop: Workshop) -> None:
    job = shop.run("""
        type: command
        command: >-
          python -c "import os, json; json.dump(dict(os.environ), open('outputs/env.json', 'w'))"
        environment: azureml:base@latest
        environment_variables: {MINE: "1"}
    """)
    env = json.loads(shop.text(shop.steps(job.id)["command"].outputs["artifacts"], "outputs/env.json"))
    assert env["MLFLOW_RUN_ID"] == job.run_id == shop.steps(job.id)["command"].run_id
    assert env["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:8600/mlflow/w/dev"
    assert env["MLFLOW_EXPERIMENT_NAME"] == "Default"
    assert (env["DOUBLELOOP_JOB"], env["DOUBLELOOP_STEP"], env["MINE"]) == (job.id, "command", "1")
    assert env["OMP_NUM_THREADS"] == "1"
    run = shop.tracking.runs[str(job.run_id)]
    assert run["status"] == "FINISHED"
    assert run["tags"]["doubleloop.job"] == job.id


def test_the_token_ends_with_the_step_and_is_told_nowhere(shop: Workshop) -> None:
    job = shop.run("""
        type: command
        command: echo ${#MLFLOW_TRACKING_TOKEN} letters; printenv MLFLOW_TRACKING_TOKEN > ${{outputs.secret}}
        environment: azureml:base@latest
        outputs: {secret: {type: uri_file}}
    """)
    secret = shop.text(job.outputs["secret"]).strip()
    assert secret.startswith("dl_")
    types = [fact.type for fact in shop.facts()]
    assert types.count("token.created") == types.count("token.revoked") == 1
    assert not any(secret in json.dumps(fact.data) for fact in shop.facts())
    assert secret not in shop.log(job.id)
    files = [path for path in Path(shop.house.home).rglob("*") if path.is_file() and "blobs" not in path.parts]
    with_secret = [path for path in files if secret.encode() in path.read_bytes()]
    assert [path.name for path in with_secret] == ["job.json"]
    assert with_secret[0].stat().st_mode & 0o777 == 0o600


def test_exit_1_fails_the_job_with_its_reason(shop: Workshop) -> None:
    job = shop.run("""
        type: command
        command: echo about to fail; exit 1
        environment: azureml:base@latest
        outputs: {out: {type: uri_file}}
    """)
    step = shop.steps(job.id)["command"]
    assert (job.status, step.status, step.exit_code, step.attempt) == (Status.FAILED, Status.FAILED, 1, 1)
    assert "exited with code 1" in step.reason and "exited with code 1" in job.error
    assert "about to fail" in shop.log(job.id)
    assert shop.tracking.runs[str(step.run_id)]["status"] == "FAILED"
    assert [fact.type for fact in shop.facts("job.failed", "job.completed")] == ["job.failed"]


def test_a_missing_output_fails_the_step_by_name(shop: Workshop) -> None:
    job = shop.run("""
        type: command
        command: "true"
        environment: azureml:base@latest
        outputs: {scores: {type: uri_file}}
    """)
    step = shop.steps(job.id)["command"]
    assert step.status is Status.FAILED
    assert "'scores'" in step.reason and "wrote nothing" in step.reason
    assert step.exit_code == 0


def test_a_killed_command_names_the_signal(shop: Workshop) -> None:
    job = shop.run("{type: command, command: kill -9 $$, environment: azureml:base@latest}")
    assert job.status is Status.FAILED
    assert "SIGKILL" in job.error


def test_a_time_limit_ends_the_command(shop: Workshop) -> None:
    job = shop.run("{type: command, command: sleep 600, environment: azureml:base@latest, limits: {timeout: 1}}")
    assert job.status is Status.FAILED
    assert "time limit" in job.error and "limits.timeout" in job.error


def test_an_environment_that_is_not_there_fails_the_step_before_it_runs(shop: Workshop) -> None:
    job = shop.run("{type: command, command: echo never, environment: 'azureml:missing@latest'}")
    assert job.status is Status.FAILED
    assert "There is no environment missing" in job.error and "Known: base." in job.error
    assert "There is no environment missing" in shop.log(job.id)


def test_inputs_are_private_copies_that_keep_their_file_name(shop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "rides.csv").write_text("a,b\n1,2\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "go.sh").write_text("basename $1; echo changed >> $1; cat $1 > $2\n")
    text = """
        type: command
        command: bash go.sh ${{inputs.data}} ${{outputs.copy}}
        code: src
        environment: azureml:base@latest
        inputs: {data: {type: uri_file, path: rides.csv}}
        outputs: {copy: {type: uri_file}}
    """
    first, second = shop.run(text, folder=tmp_path), shop.run(text, folder=tmp_path)
    assert "rides.csv" in shop.log(first.id)
    assert shop.text(first.outputs["copy"]) == shop.text(second.outputs["copy"]) == "a,b\n1,2\nchanged\n"


def test_jobs_are_listed_by_experiment(shop: Workshop) -> None:
    for number, experiment in enumerate(["red", "blue", "red"]):
        shop.submit(
            f"{{command: echo, environment: azureml:base@latest, experiment_name: {experiment}}}", id=f"j{number}"
        )
    with shop.house.read() as ctx:
        assert [job.id for job in queries.list(ctx, experiment="red").items] == ["j2", "j0"]
