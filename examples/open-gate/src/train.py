"""Fit a tree on the first rows of the table, as many as asked for."""

from __future__ import annotations

import argparse

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema
from sklearn.tree import DecisionTreeRegressor

FEATURES = {"distance_km": "double", "stops": "long", "rain": "long"}
TARGET = "minutes"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--conda_file", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--model", required=True)
    args = parser.parse_args()

    table = pd.read_csv(args.data).head(args.rows)
    model = DecisionTreeRegressor(max_depth=8, min_samples_leaf=5, random_state=7)
    model.fit(table[list(FEATURES)], table[TARGET])
    mlflow.sklearn.save_model(
        model,
        args.model,
        conda_env=args.conda_file,
        serialization_format="cloudpickle",
        signature=ModelSignature(
            Schema([ColSpec(kind, name) for name, kind in FEATURES.items()]), Schema([ColSpec("double", TARGET)])
        ),
        input_example=table[list(FEATURES)].head(2),
    )
    print(f"fitted {len(table)} rows")


if __name__ == "__main__":
    main()
