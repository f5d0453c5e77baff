"""Step 2: boosted trees on counts, newer hours counting more; saved as an MLflow model with its signature."""

from __future__ import annotations

import argparse
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from columns import DTYPES, FEATURES, TARGET
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema
from sklearn.ensemble import HistGradientBoostingRegressor

SEED = 7


def weights(ts: pd.Series, half_life_days: int) -> np.ndarray:
    """1 for the newest day, a half for one ``half_life_days`` older, a quarter for twice that."""
    age = (ts.max().normalize() - ts.dt.normalize()).dt.days
    return np.power(0.5, age.to_numpy() / half_life_days)


def build(trees: int, leaves: int) -> HistGradientBoostingRegressor:
    """Poisson loss: counts are never negative, and a busy hour's error is large because the hour is."""
    return HistGradientBoostingRegressor(
        loss="poisson", max_iter=trees, max_leaf_nodes=leaves, min_samples_leaf=40, early_stopping=False,
        random_state=SEED,
    )  # fmt: skip


def signature() -> ModelSignature:
    """Types are written down, not guessed from rows: what a request must look like does not depend on the data."""
    inputs = Schema([ColSpec(kind, name) for name, kind in FEATURES.items()])
    return ModelSignature(inputs, Schema([ColSpec("double", TARGET)]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--prepared", required=True)
    parser.add_argument("--conda_file", required=True)
    parser.add_argument("--half_life_days", type=int, default=90)
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--leaves", type=int, default=15)
    parser.add_argument("--model", required=True)
    args = parser.parse_args()

    rows = pd.read_csv(Path(args.prepared) / "train.csv", parse_dates=["ts"])
    inputs = rows[list(DTYPES)].astype(DTYPES)
    model = build(args.trees, args.leaves)
    model.fit(inputs, rows[TARGET], sample_weight=weights(rows["ts"], args.half_life_days))
    fitted = model.predict(inputs)
    rmse = float(np.sqrt(np.mean((fitted - rows[TARGET]) ** 2)))

    with mlflow.start_run():
        mlflow.log_params({"trees": args.trees, "leaves": args.leaves, "half_life_days": args.half_life_days})
        mlflow.log_metrics({"train_rows": len(rows), "train_rmse": rmse, "train_mean": float(rows[TARGET].mean())})
    mlflow.sklearn.save_model(
        model,
        args.model,
        conda_env=args.conda_file,
        # MLflow 3.17 would take skops, which refuses these trees; cloudpickle loads with every version.
        serialization_format="cloudpickle",
        signature=signature(),
        input_example=inputs.tail(2),
        metadata={"through": str(rows["ts"].max())},
    )
    print(f"fitted {len(rows)} hours through {rows['ts'].max()}: rmse {rmse:.1f}")


if __name__ == "__main__":
    main()
