"""Which check a deployment's requests go through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from doubleloop.base import errors
from doubleloop.gateway import desired, images, signatures, tensors


@dataclass(frozen=True)
class Contract:
    """``checker`` is None for a scoring script. ``signature`` is the one in force, if any. ``images``: how requests are
    read where the model takes an image a row."""

    layout: str
    checker: signatures.Checker | None
    signature: dict[str, Any] | None
    images: images.Images | None = None


def contract(deployment: desired.Deployment, description: Mapping[str, Any]) -> Contract:
    """Raises errors.InvalidInput when the model has no signature and nobody said why that is all right."""
    if deployment.kind == "script":
        return Contract("raw", None, normal(deployment.signature))
    signature = normal(deployment.signature) or normal(description.get("signature"))
    if signature is None:
        if not deployment.unsigned_reason:
            raise errors.InvalidInput(
                "the model has no signature, so requests cannot be checked against it",
                cure="log the model with a signature (mlflow.models.infer_signature), or give unsigned_reason",
            )
        names, count = description.get("feature_names"), description.get("n_features")
        return Contract("unsigned", signatures.UnsignedChecker(names, count, signatures.Params([])), None)
    params = signatures.Params(signature["params"])
    inputs = signature["inputs"]
    if signatures.is_tensor(inputs):
        return Contract("tensor", tensors.TensorChecker(inputs, params), signature)
    taken = images.Images.of(inputs, params, description.get("metadata") or {})
    return Contract("columns", signatures.ColumnChecker(inputs, params), signature, taken)


def normal(signature: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Lists in all three parts; None when there are no inputs."""
    result = {part: signatures.read(signature, part) for part in ("inputs", "outputs", "params")}
    return result if result["inputs"] else None
