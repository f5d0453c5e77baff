"""BentoML: a service with one worker that takes a frame. ``BATCH=1`` makes the method a batchable one."""

import os

import bentoml
import joblib
import numpy as np
import pandas as pd

BATCHED = os.environ.get("BATCH") == "1"


@bentoml.service(workers=1, traffic={"timeout": 60})
class Served:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(batchable=BATCHED, max_batch_size=64)
    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        result: np.ndarray = self.model.predict(frame)
        return result
