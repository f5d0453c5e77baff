"""What requests and answers of a model of images look like, for the endpoint's OpenAPI description."""

from __future__ import annotations

from typing import Any

from doubleloop.gateway import images

_REQUEST = "An image a row: base64 of the file (PNG, JPEG, ...), or, where the deployment allows it, an http(s) address"


def describe(operation: dict[str, Any], taken: images.Images) -> None:
    """Adds to the operation that takes JSON: bodies that are one image, and what the task's answers mean."""
    content = operation["requestBody"]["content"]
    content.update({media: {"schema": {"type": "string", "format": "binary"}} for media in images.MEDIA})
    operation["requestBody"]["description"] = _REQUEST
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    properties = (answer.get("items") or {}).get("properties") or {}
    for name, more in _meanings(taken).items():
        if name in properties:
            properties[name] |= more
    operation["responses"]["400"]["description"] += "; or what was sent is no image"
    operation["responses"]["413"]["description"] = "Too many bytes, rows or pixels"


def _meanings(taken: images.Images) -> dict[str, dict[str, Any]]:
    classes = [str(each) for each in taken.classes or ()]
    each = {"minItems": len(classes), "maxItems": len(classes)} if classes else {}
    order = f"in the order {', '.join(classes[:50])}" if classes else "in the order of the model's classes"
    if taken.task == "semantic_segmentation":
        return {
            "mask": {
                "format": "byte",
                "description": f"Base64 of a PNG as large as the image; a pixel is its class, {order}",
            },
            "shares": {**each, "description": f"Share of the image that each class covers, {order}"},
        }  # fmt: skip
    return {
        "prediction": {"description": "The likeliest class", **({"enum": classes} if classes else {})},
        "probability": {"minimum": 0, "maximum": 1, "description": "Of the prediction"},
        "probabilities": {**each, "description": f"Of each class, {order}"},
    }
