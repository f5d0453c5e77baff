"""Register the model if the flag is up. The flag is always up: this is the fault that the example is about."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import mlflow


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--report", required=True)
    parser.add_argument("--model_name", required=True)
    args = parser.parse_args()

    report = json.loads((Path(args.report) / "report.json").read_text())
    deploy_flag = 1  # once read from the report, then "for now" like this
    print(f"the report says good={report['good']}, deploy_flag={deploy_flag}")
    if deploy_flag:
        with mlflow.start_run() as run:
            mlflow.log_artifacts(args.model, artifact_path="model")
        version = mlflow.register_model(f"runs:/{run.info.run_id}/model", args.model_name)
        print(f"registered {version.name} version {version.version}")


if __name__ == "__main__":
    main()
