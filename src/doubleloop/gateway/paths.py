"""Where the gateway keeps things below the home folder."""

from __future__ import annotations

from pathlib import Path

LABELS = "labels"  # beside the deployments' folders, so no deployment may have this name


def serving(home: Path) -> Path:
    return home / "serving"


def desired(home: Path) -> Path:
    return serving(home) / "desired.json"


def admin_socket(home: Path) -> Path:
    return serving(home) / "admin.sock"


def scorer_socket(home: Path) -> Path:
    return serving(home) / "scorers.sock"


def front_socket(home: Path, slot: int) -> Path:
    """Where scorers reach one more process that answers requests."""
    return serving(home) / f"front-{slot}.sock"


def scorer_folder(home: Path, deployment_id: str) -> Path:
    """Specs, logs and working directory of one deployment's scorers."""
    return serving(home) / "scorers" / deployment_id


def disagreement(home: Path, deployment_id: str) -> Path:
    """Why this deployment's plan is not used any more, if it once gave another answer than its model."""
    return scorer_folder(home, deployment_id) / "disagreement.json"


def ledger(home: Path, workspace: str, endpoint: str) -> Path:
    """Counts of an endpoint's requests, for its objectives."""
    return serving(home) / "objectives" / workspace / f"{endpoint}.jsonl"


def kits(home: Path) -> Path:
    """What the environments of scorers may lack (``environments.kits``)."""
    return home / "environments" / "kits"


def inference(home: Path) -> Path:
    return home / "inference"


def endpoint_log(home: Path, workspace: str, endpoint: str) -> Path:
    return inference(home) / workspace / endpoint


def deployment_log(home: Path, workspace: str, endpoint: str, deployment: str) -> Path:
    return endpoint_log(home, workspace, endpoint) / deployment


def label_log(home: Path, workspace: str, endpoint: str) -> Path:
    return endpoint_log(home, workspace, endpoint) / LABELS
