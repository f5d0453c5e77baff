"""Scripts over mini-batches as steps of pipelines."""

from doubleloop.sdk.entities.settings import RetrySettings, RunFunction
from doubleloop.sdk.steps.parallels import Parallel, parallel_run_function

__all__ = ["Parallel", "RetrySettings", "RunFunction", "parallel_run_function"]
