"""Step 4: hand the model to the registry, unless it does not even beat the clock.

Whether it gets to production is not decided here: registering a version starts its release, and the release compares
it with the one in production on the hold-out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import mlflow


def worth_registering(report: dict) -> bool:
    """Whether the model's error on the validation days is below the baseline's."""
    return report["model"]["rmse"] < report["baseline"]["rmse"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--report", required=True)
    parser.add_argument("--model_name", required=True)
    parser.add_argument("--registered", required=True)
    args = parser.parse_args()

    report = json.loads((Path(args.report) / "report.json").read_text())
    model_rmse, baseline_rmse = report["model"]["rmse"], report["baseline"]["rmse"]
    if not worth_registering(report):
        raise SystemExit(f"not registered: rmse {model_rmse:.1f}, while the hourly mean has {baseline_rmse:.1f}")
    with mlflow.start_run() as run:
        mlflow.log_artifacts(args.model, artifact_path="model")
    version = mlflow.register_model(
        f"runs:/{run.info.run_id}/model",
        args.model_name,
        tags={"validation_rmse": f"{model_rmse:.1f}", "baseline_rmse": f"{baseline_rmse:.1f}"},
    )
    out = Path(args.registered)
    out.mkdir(parents=True, exist_ok=True)
    (out / "registered.json").write_text(json.dumps({"name": version.name, "version": str(version.version)}))
    print(f"registered {version.name} version {version.version}: validation rmse {model_rmse:.1f}")


if __name__ == "__main__":
    main()
