"""KServe's Python SDK: a model under its own server, reading requests as KServe's server for scikit-learn does."""

import os
from typing import Any

import joblib
import kserve
from kserve.utils.utils import get_predict_input, get_predict_response


class Served(kserve.Model):
    def __init__(self) -> None:
        super().__init__("served")

    def load(self) -> bool:
        self.model = joblib.load(os.environ["MODEL"])
        self.ready = True
        return True

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        frame = get_predict_input(payload)
        return get_predict_response(payload, self.model.predict(frame), self.name)


if __name__ == "__main__":
    served = Served()
    served.load()
    kserve.ModelServer(http_port=int(os.environ["PORT"]), workers=1, enable_grpc=False).start([served])
