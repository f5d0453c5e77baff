"""LitServe: an API class with setup, decode, predict, encode. ``BATCH=1`` switches its batching on."""

import os
import sys
from typing import Any

import joblib
import litserve
import pandas

BATCHED = os.environ.get("BATCH") == "1"


class Served(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    def decode_request(self, request: dict[str, Any]) -> Any:
        return pandas.DataFrame(**request["input_data"])

    def batch(self, inputs: list[Any]) -> Any:
        self.sizes = [len(frame) for frame in inputs]
        return pandas.concat(inputs, ignore_index=True)

    def predict(self, x: Any) -> Any:
        return self.model.predict(x)

    def unbatch(self, output: Any) -> Any:
        parts, at = [], 0
        for size in self.sizes:
            parts.append(output[at : at + size])
            at += size
        return parts

    def encode_response(self, output: Any) -> dict[str, list[float]]:
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    api = Served(max_batch_size=64, batch_timeout=0.005) if BATCHED else Served()
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=1, timeout=60)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, log_level="warning"
    )
