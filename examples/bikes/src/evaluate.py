"""Step 3: the errors of the model on the last fortnight, beside those of a forecaster that knows only the clock."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from columns import DTYPES, SEGMENT, TARGET


def errors(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Root mean square, mean absolute and mean error, in rides an hour; a negative bias means too few predicted."""
    difference = np.asarray(predicted, float) - np.asarray(true, float)
    return {
        "rmse": float(np.sqrt(np.mean(difference**2))),
        "mae": float(np.mean(np.abs(difference))),
        "bias": float(np.mean(difference)),
    }


def by_clock(train: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """The baseline: the mean of the training hours with the same hour of the day on the same kind of day."""
    means = train.groupby(["hour", "workingday"])[TARGET].mean().rename("mean")
    found = rows.join(means, on=["hour", "workingday"])["mean"]
    return found.fillna(train[TARGET].mean()).to_numpy()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--prepared", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--report", required=True)
    args = parser.parse_args()

    train = pd.read_csv(Path(args.prepared) / "train.csv")
    rows = pd.read_csv(Path(args.prepared) / "validation.csv")
    predicted = mlflow.sklearn.load_model(args.model).predict(rows[list(DTYPES)].astype(DTYPES))
    report = {
        "rows": len(rows),
        "model": errors(rows[TARGET], predicted),
        "baseline": errors(rows[TARGET], by_clock(train, rows)),
        "segments": {
            str(name): errors(rows.loc[index, TARGET], predicted[rows.index.get_indexer(index)])
            for name, index in rows.groupby(SEGMENT).groups.items()
        },
    }
    with mlflow.start_run():
        mlflow.log_metrics({f"validation_{name}": value for name, value in report["model"].items()})
        mlflow.log_metrics({f"baseline_{name}": value for name, value in report["baseline"].items()})
    out = Path(args.report)
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
