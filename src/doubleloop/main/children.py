"""The processes of one installation and how each is started."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field

from doubleloop.settings.model import Settings


@dataclass(frozen=True)
class Child:
    """``stop_seconds``: how long it may take to finish what it has begun before it is killed."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    stop_seconds: float = 10.0


def children(settings: Settings) -> list[Child]:
    """In starting order; they are stopped in the reverse one."""
    ours = {
        "DOUBLELOOP_HOME": str(settings.home),
        "DOUBLELOOP_HOST": settings.host,
        "DOUBLELOOP_PORT": str(settings.port),
        "DOUBLELOOP_GATEWAY_PORT": str(settings.gateway),
        "DOUBLELOOP_DATABASE_URL": settings.database_url,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }
    run = [sys.executable, "-m", "doubleloop.main"]
    gateway = [
        sys.executable, "-m", "doubleloop.gateway", "--home", str(settings.home), "--host", settings.host,
        "--port", str(settings.gateway), "--processes", str(settings.fronts),
    ]  # fmt: skip
    return [
        mlflow(settings),
        Child("gateway", gateway, ours, stop_seconds=30.0),
        Child("worker", [*run, "worker"], ours),
        Child("api", [*run, "api"], ours),
    ]


def mlflow(settings: Settings) -> Child:
    """MLflow's own server app, one process, on a unix socket that only this user can open."""
    return Child(
        "mlflow",
        [
            sys.executable, "-W", "ignore", "-m", "doubleloop.main.mlflow_server",
            str(settings.home / "mlflow"), str(settings.mlflow_socket),
        ],
        {
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(settings.mlflow_artifacts),
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            # Host names were checked by our proxy already.
            "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
            "PYTHONWARNINGS": "ignore",
        },
    )  # fmt: skip
