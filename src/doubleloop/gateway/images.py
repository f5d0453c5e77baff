"""Requests to a model that takes one image a row: the bytes of a file, base64 in JSON, or an address to fetch it from.

Such a model has one binary column that must be there, and no other that must. The model itself decodes what comes,
once; here the first bytes are looked at, so that what is no image, or claims to be huge, is refused at the door.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from doubleloop.base import errors
from doubleloop.gateway import desired, failures, messages, payloads, signatures, values
from doubleloop.gateway import limits as limit

# What a body may be that is one image.
MEDIA = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/tiff", "application/octet-stream")
MOST_PIXELS = 50_000_000
# Of base64, for the first bytes of a file.
_HEAD = 64
_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")
_ADDRESS = ("http://", "https://")
# Addresses of one request that are fetched; more belong to a batch endpoint.
MOST_ADDRESSES = 16


class Images:
    """``task`` and ``classes``: what the model says of itself. ``checks``: whether its column is known to be images."""

    def __init__(self, inputs: Sequence[dict[str, Any]], params: signatures.Params, told: Mapping[str, Any]) -> None:
        self._at = next(at for at, spec in enumerate(inputs) if spec["type"] == "binary")
        self.column = str(inputs[self._at].get("name", self._at))
        self.task, self.classes = told.get("task"), told.get("classes")
        self.checks = told.get("image") == self.column
        self._checker = signatures.ColumnChecker(inputs, params, {self._at: _image_or_address})

    @staticmethod
    def of(inputs: Sequence[dict[str, Any]], params: signatures.Params, told: Mapping[str, Any]) -> Images | None:
        """None where the signature is another."""
        needed = [spec for spec in inputs if spec.get("required", True)]
        return Images(inputs, params, told) if [spec.get("type") for spec in needed] == ["binary"] else None

    def is_one(self, request: messages.Request) -> bool:
        """Whether the body is the image itself."""
        return _media(request) in MEDIA

    async def read(
        self, request: messages.Request, limits: limit.Limits, deployment: desired.Deployment
    ) -> signatures.Checked:
        """Raises errors.InvalidInput naming the row; what is fetched may raise errors.NotPermitted."""
        if self.is_one(request):
            return self._one(request.body)
        checked = self._checker.check(payloads.parse(request.body, limits))
        column = checked.value[self._at]
        if any(each is not None and each.startswith(_ADDRESS) for each in column):
            checked.value[self._at] = column = await self._fetched(column, limits, deployment)
        if self.checks:
            for row, each in enumerate(column):
                if each is not None:
                    self._look(row, base64.b64decode(each[:_HEAD]))
        return checked

    def _one(self, body: bytes) -> signatures.Checked:
        if not body:
            raise failures.shape("the body is empty, and an image is expected", column=self.column)
        if self.checks:
            self._look(0, body[:_HEAD])
        columns: list[Any] = [None] * self._checker.width
        columns[self._at] = [base64.b64encode(body).decode("ascii")]
        header: dict[str, Any] = {"rows": 1}
        if self._checker.width > 1:
            header["missing"] = True
        return signatures.Checked(1, header, columns, True)

    async def _fetched(self, column: list[Any], limits: limit.Limits, deployment: desired.Deployment) -> list[Any]:
        wanted = [(row, each) for row, each in enumerate(column) if each is not None and each.startswith(_ADDRESS)]
        if deployment.image_urls is None:
            raise failures.cell(
                wanted[0][0], self.column, "an image in base64", "an address, which this deployment does not fetch",
                "send the image itself, or set `image_urls: true` in the deployment's file",
            )  # fmt: skip
        if len(wanted) > MOST_ADDRESSES:
            raise errors.TooLarge(f"{len(wanted)} addresses in one request, the most are {MOST_ADDRESSES}")
        # Imported when an address comes: what fetches takes its time, and most gateways never need it.
        fetching = importlib.import_module("doubleloop.gateway.image_fetching")
        seconds = deployment.request_timeout_ms / 1000
        found = list(column)
        for row, url in wanted:
            try:
                content = await asyncio.to_thread(
                    fetching.fetch, url, deployment.image_urls, limits.max_body_bytes, seconds
                )  # fmt: skip
            except errors.DoubleloopError as error:
                error.what = f"row {row}, column '{self.column}': {error.what}"
                raise
            self._look(row, content[:_HEAD])
            found[row] = base64.b64encode(content).decode("ascii")
        return found

    def _look(self, row: int, head: bytes) -> None:
        """Raises errors.InvalidInput, errors.TooLarge."""
        if not head.startswith(_STARTS) and not (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
            raise failures.cell(row, self.column, "an image (PNG, JPEG, ...)", f"bytes that begin with {head[:8]!r}")
        width, height = _size(head)
        if width * height > MOST_PIXELS:
            raise errors.TooLarge(
                f"row {row}, column '{self.column}': an image of {width} x {height} pixels, the most are {MOST_PIXELS}"
            )


def _media(request: messages.Request) -> str:
    return request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")


def _size(head: bytes) -> tuple[int, int]:
    """Width and height, where the first bytes tell them; else nothing, and the model finds out."""
    try:
        if head.startswith(b"\x89PNG"):
            return struct.unpack(">II", head[16:24])
        if head.startswith(b"GIF8"):
            return struct.unpack("<HH", head[6:10])
        if head.startswith(b"BM"):
            width, height = struct.unpack("<ii", head[18:26])
            return width, abs(height)
    except struct.error:  # cut off
        pass
    return 0, 0


def _image_or_address(column: str, given: Sequence[Any], null: bool) -> list[Any]:
    """As ``values`` checks binary columns, but for addresses."""
    plain = ["" if isinstance(each, str) and each.startswith(_ADDRESS) else each for each in given]
    found = values.checker({"type": "binary"})(column, plain, null)
    return [each if address == "" else address for each, address in zip(given, found, strict=True)]
