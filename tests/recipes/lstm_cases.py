"""Runs ``lstm_forecasting`` as a job does, on the folder and table it is given, and prints what came of it as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mlflow.pyfunc
import pandas

from doubleloop.recipes.shared import run


def main(folder: Path) -> None:
    words = ["--method", "lstm", "--target", "passengers", "--time", "month", "--log", "true", "--folds", "2"]
    words += ["--training-data", "rows.csv", "--model", "model", "--evaluation", "evaluation", "--epochs", "60"]
    done = subprocess.run([sys.executable, run.__file__, "forecasting.forecast", *words], cwd=folder, check=False)
    model = mlflow.pyfunc.load_model(str(folder / "model"))
    asked = pandas.DataFrame({"month": ["1962-12-01", "1961-01-01", "1961-12-01"]})
    print(
        json.dumps({
            "code": done.returncode,
            "told": json.loads((folder / "evaluation" / "metrics.json").read_text()),
            "rows": model.predict(asked).to_dict("records"),
            "alone": model.predict(asked.iloc[[1]]).to_dict("records"),
        })
    )  # fmt: skip


main(Path(sys.argv[1]))
