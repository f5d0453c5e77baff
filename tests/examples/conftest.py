"""The environment of the examples, built once from their conda file as a user's would be."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import uv
from ruamel.yaml import YAML

EXAMPLES = Path(__file__).parents[2] / "examples"
CONDA_FILE = EXAMPLES / "bikes" / "environment" / "train-conda.yml"


@pytest.fixture(scope="session")
def examples_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python with the packages of train-conda.yml."""
    dependencies = YAML(typ="safe").load(CONDA_FILE)["dependencies"]
    version = next(item.partition("=")[2] for item in dependencies if str(item).startswith("python="))
    pins = next(item["pip"] for item in dependencies if isinstance(item, dict))
    folder = tmp_path_factory.mktemp("environment") / "venv"
    python = folder / "bin" / "python"
    for command in (
        ["venv", "-q", "--python", version, str(folder)],
        ["pip", "install", "-q", "--python", str(python), *pins],
    ):
        done = subprocess.run([uv.find_uv_bin(), *command], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"the environment of the examples cannot be built here: {done.stderr[-300:]}")
    return python


@pytest.fixture(scope="session")
def examples_environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables as the engine sets them, with MLflow's files in a folder in place of a server.

    Compiled bytecode is kept, or every step pays seconds for reading MLflow's sources again.
    """
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    folder = tmp_path_factory.mktemp("mlflow") / "runs"  # not there yet, or MLflow takes it for one in use
    return environ | {
        "MLFLOW_TRACKING_URI": folder.as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
    }
