"""Which deployments need a server of their own, and are told so before anything is built: pure."""

from __future__ import annotations

from typing import Any

from doubleloop.base import errors
from doubleloop.specs import model as specs

_CURE = "Give a scoring script (code_configuration) and a conda_file; the image may stay and is recorded."


def check(document: specs.Document) -> None:
    """Raises NotSupported for what only a container of one's own could answer, with the line.

    An image with ``inference_config`` brings its own server. Where the deployment also has a scoring script, and the
    image is known to be a plain Python server, the script is what answers here, and the routes have no effect.
    """
    spec = document.model
    environment = spec.environment
    if spec.model is not None and getattr(spec.model, "type", None) == "triton_model":
        raise errors.NotSupported(
            "Triton models are answered by NVIDIA's server, which does not run here",
            where=document.where("model"), cure="Log the model with MLflow, or write a scoring script around it.",
        )  # fmt: skip
    if environment is None or isinstance(environment, str) or not getattr(environment, "inference_config", None):
        return
    if spec.code_configuration is not None and (environment.conda_file is not None or _is_python(environment.image)):
        return
    raise errors.NotSupported(
        f"The image {environment.image or ''} brings its own server (inference_config), and containers do not run here",
        where=document.where("environment.inference_config"), cure=_CURE,
    )  # fmt: skip


def _is_python(image: Any) -> bool:
    """Azure's own images are a Python with the inference server, which the scorer here stands for."""
    return str(image or "").startswith("mcr.microsoft.com/azureml/")
