"""Ray Serve: one replica of a deployment that reads the request, as its page on scikit-learn does.

``BATCH=1`` puts Ray's batching around the model.
"""

import os
import signal
import sys
from typing import Any

import joblib
import pandas
import ray
from ray import serve
from starlette.requests import Request

BATCHED = os.environ.get("BATCH") == "1"


# As many requests as there are connections may be on their way to the replica: with Ray's default of 5 its router waits
# longer and longer between tries, and 64 connections get two answers a second.
@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 0}, max_ongoing_requests=100)
class Served:
    def __init__(self, path: str, batched: bool) -> None:
        self.model = joblib.load(path)
        self.batched = batched

    async def __call__(self, request: Request) -> Any:
        table = (await request.json())["input_data"]
        frame = pandas.DataFrame(table["data"], columns=table["columns"])
        found = await self.together(frame) if self.batched else self.model.predict(frame)
        return found.tolist()

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.005)
    async def together(self, frames: list[Any]) -> list[Any]:
        found = self.model.predict(pandas.concat(frames, ignore_index=True))
        parts, at = [], 0
        for frame in frames:
            parts.append(found[at : at + len(frame)])
            at += len(frame)
        return parts


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ray.init(num_cpus=1, include_dashboard=False, logging_level="warning", object_store_memory=100 * 1024 * 1024)
    serve.start(http_options=serve.config.HTTPOptions(host="127.0.0.1", port=int(sys.argv[1])))
    # What `deployment` makes of a class is not known to type checkers.
    bind: Any = Served.bind  # type: ignore[attr-defined]
    serve.run(bind(os.environ["MODEL"], BATCHED), route_prefix="/")
    signal.pause()
