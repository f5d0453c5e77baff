"""Makes the model that everybody serves, and the rows that everybody is asked: ``python model.py FOLDER``.

Runs in an environment that has scikit-learn and MLflow. In FOLDER: ``mlflow`` (a model folder with signature),
``model.joblib`` (the same pipeline), ``rows.json`` (``columns``, ``rows``, and ``expected``: the pipeline's own
predictions of them). The seed is fixed, so each run makes the same model.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import joblib
import mlflow
import numpy
import pandas
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

SEED = 20261127
NUMERIC = [f"measure_{number}" for number in range(12)]
# Eight columns whose categories make 109 features, with the numbers 121.
CATEGORIES = {f"kind_{number}": count for number, count in enumerate((3, 4, 6, 9, 12, 17, 25, 33))}
TRAINED, ASKED = 6000, 800
MISSING = 0.03


def table(rows: int, seed: int, missing: float) -> pandas.DataFrame:
    """Numbers of different scales and texts, ``missing`` of each column's cells left out."""
    draw = numpy.random.default_rng(seed)
    columns: dict[str, Any] = {
        name: draw.normal(number, number + 1.0, rows) for number, name in enumerate(NUMERIC)
    }  # fmt: skip
    for name, count in CATEGORIES.items():
        columns[name] = numpy.array([f"{name}_value_{draw_}" for draw_ in draw.integers(0, count, rows)], dtype=object)
    frame = pandas.DataFrame(columns)
    return frame.mask(draw.random(frame.shape) < missing)


def target(frame: pandas.DataFrame, seed: int) -> numpy.ndarray:
    draw = numpy.random.default_rng(seed)
    numbers = frame[NUMERIC].fillna(0.0).to_numpy()
    result = numbers @ draw.normal(0, 1, len(NUMERIC)) + 5.0 * numpy.sin(numbers[:, 0])
    for name, count in CATEGORIES.items():
        effect = {f"{name}_value_{value}": each for value, each in enumerate(draw.normal(0, 3, count))}
        result += frame[name].map(effect).fillna(0.0).to_numpy(dtype=float)
    return result + draw.normal(0, 1, len(frame))


def pipeline() -> Pipeline:
    numbers = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
    texts = Pipeline(
        [("impute", SimpleImputer(strategy="most_frequent")), ("encode", OneHotEncoder(handle_unknown="ignore"))]
    )
    prepare = ColumnTransformer([("numbers", numbers, NUMERIC), ("texts", texts, list(CATEGORIES))])
    return Pipeline([
        ("prepare", prepare),
        ("model", GradientBoostingRegressor(n_estimators=100, max_depth=3, random_state=0)),
    ])  # fmt: skip


def main(folder: Path) -> None:
    frame = table(TRAINED, SEED, MISSING)
    model = pipeline().fit(frame, target(frame, SEED))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    signature = mlflow.models.infer_signature(frame, model.predict(frame))
    mlflow.sklearn.save_model(
        model, str(folder / "mlflow"), signature=signature, serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
    )  # fmt: skip
    joblib.dump(model, folder / "model.joblib")
    asked = table(ASKED, SEED + 1, 0.0)
    document = {
        "columns": list(asked.columns), "numeric": NUMERIC, "rows": asked.to_numpy(dtype=object).tolist(),
        "expected": model.predict(asked).tolist(), "features": int(model[-1].n_features_in_),
    }  # fmt: skip
    (folder / "rows.json").write_text(json.dumps(document))
    print(f"a model of {document['features']} features, {len(asked)} rows to ask")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
