"""Fits a line through fares, and registers it. Every run leaves a line in RUNS_FILE when it begins and when it ends."""

from __future__ import annotations

import argparse
import os


def tell(word: str) -> None:
    """One short write in append mode: whole, whoever else writes, and there at once."""
    with open(os.environ["RUNS_FILE"], "a") as file:
        file.write(f"{word} {os.environ['DOUBLELOOP_JOB']}\n")


def main() -> None:
    tell("begin")
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--conda_file", required=True)
    args = parser.parse_args()

    import mlflow
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema
    from sklearn.linear_model import LinearRegression

    rows = pd.read_csv(args.data)
    names = ["distance", "minutes"]
    model = LinearRegression().fit(rows[names], rows["fare"])
    with mlflow.start_run():
        mlflow.log_metric("rows", len(rows))
        mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name="fares",
            serialization_format="cloudpickle",
            conda_env=args.conda_file,
            signature=ModelSignature(
                Schema([ColSpec("double", name) for name in names]), Schema([ColSpec("double", "fare")])
            ),
        )
    tell("end")


if __name__ == "__main__":
    main()
