"""Scripts of Azure ML's first SDK: ``Run.get_context()`` with Azure's package and without it, in a run's own Python."""

from __future__ import annotations

import subprocess
import textwrap
from pathlib import Path

import mlflow
import pytest

from doubleloop.runner import overlay


def ran(tmp_path: Path, script: str, real: str = "", **variables: str) -> str:
    """Output of ``script`` in the overlay of a run. ``real``: source of an installed ``azureml/core/run.py``."""
    made = overlay.create(str(tmp_path / "overlay"))
    if real:
        core = tmp_path / "packages" / "azureml" / "core"
        core.mkdir(parents=True)
        (core / "__init__.py").write_text("from .run import Run\n")
        (core / "run.py").write_text(textwrap.dedent(real))
    done = subprocess.run(
        [str(Path(made["bin"]) / "python"), "-c", textwrap.dedent(script)],
        env={"PYTHONPATH": str(tmp_path / "packages"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_script_that_registers_asks_the_run_where_it_is(tmp_path: Path) -> None:
    script = """
        from azureml.core import Run
        run = Run.get_context()
        experiment = run.experiment
        print(experiment.name, experiment.workspace.get_mlflow_tracking_uri(), run.id)
        try:
            run.experiment.workspace.datasets
        except AttributeError as error:
            print(error)
    """
    variables = {"MLFLOW_TRACKING_URI": "http://here/mlflow", "MLFLOW_EXPERIMENT_NAME": "rides", "MLFLOW_RUN_ID": "r1"}
    said = ran(tmp_path, script, **variables).splitlines()
    assert said[0] == "rides http://here/mlflow r1"
    assert said[1].startswith("Workspace.datasets belongs to Azure ML's service, which is not here")


def test_with_azures_own_package_its_run_is_ours_and_the_rest_is_its_own(tmp_path: Path) -> None:
    real = """
        OWN = 7
        class Run:
            @classmethod
            def get_context(cls, allow_offline=True):
                return "offline"
    """
    script = """
        import azureml.core.run
        from azureml.core.run import Run
        print(type(Run.get_context(allow_offline=False)).__module__, azureml.core.run.OWN)
    """
    assert ran(tmp_path, script, real) == "_doubleloop_azureml 7"


def test_nothing_is_imported_before_a_script_asks(tmp_path: Path) -> None:
    said = ran(
        tmp_path, "import sys; print(sorted(m for m in sys.modules if m.split('.')[0] in ('mlflow', 'azureml')))"
    )
    assert said == "[]"


@pytest.mark.slow
def test_what_is_logged_is_in_the_mlflow_run(tmp_path: Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    client = mlflow.MlflowClient()
    experiment = client.create_experiment("rides", artifact_location=str(tmp_path / "artifacts"))
    run_id = client.create_run(experiment).info.run_id
    (tmp_path / "notes.txt").write_text("hello")
    script = f"""
        from azureml.core import Run
        run = Run.get_context()
        run.log("accuracy", 0.5)
        run.log("accuracy", 0.75, step=1)
        run.log("solver", "lbfgs")
        run.log_list("loss", [3, 2, 1])
        run.log_row("point", x=1, y=2)
        run.log_table("curve", {{"a": [1, 2], "b": [3.0, 4.0]}})
        run.tag("phase", "trial")
        run.upload_file("reports/renamed.txt", {str(tmp_path / "notes.txt")!r})
        run.complete()
        print(run.get_metrics("accuracy"), run.get_tags()["phase"])
    """
    said = ran(
        tmp_path, script, MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/mlflow.db", MLFLOW_RUN_ID=run_id,
        MLFLOW_EXPERIMENT_ID=experiment,
    )  # fmt: skip
    assert said.splitlines()[-1] == "{'accuracy': 0.75} trial"
    run = client.get_run(run_id)
    assert run.data.params == {"solver": "lbfgs"}
    assert [each.value for each in client.get_metric_history(run_id, "accuracy")] == [0.5, 0.75]
    assert [each.value for each in client.get_metric_history(run_id, "loss")] == [3, 2, 1]
    assert (run.data.metrics["point.x"], run.data.metrics["curve.b"]) == (1, 4)
    assert (tmp_path / "artifacts" / run_id / "artifacts" / "reports" / "renamed.txt").read_text() == "hello"


def test_python_without_mlflow_says_what_to_add(tmp_path: Path) -> None:
    script = """
        import sys
        sys.modules["mlflow"] = None
        from azureml.core import Run
        try:
            Run.get_context().log("a", 1)
        except ImportError as error:
            print(error)
    """
    assert "add it to the environment" in ran(tmp_path, script)
