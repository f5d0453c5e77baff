"""BentoML: a service with one worker that takes a frame. ``BATCH=1``: one whose requests are scored together."""

import os
from typing import Any

import bentoml
import joblib
import numpy as np
import pandas as pd

SERVICE: dict[str, Any] = {"workers": 1, "traffic": {"timeout": 60}}


@bentoml.service(**SERVICE)
class Alone:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api
    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        result: np.ndarray = self.model.predict(frame)
        return result


@bentoml.service(**SERVICE)
class Together:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(batchable=True, max_batch_size=1000)
    def predict(self, frame: list[dict[str, Any]]) -> list[float]:
        result: list[float] = self.model.predict(pd.DataFrame(frame)).tolist()
        return result


Served = Together if os.environ.get("BATCH") == "1" else Alone
