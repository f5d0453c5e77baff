"""What must not stand in the inference log: columns that are dropped, columns that are told apart only by a digest."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from doubleloop.gateway import bodies, desired, paths, records

KEY_FILE = "mask.key"
DIGEST_LETTERS = 16


class Masker:
    """For one deployment: its columns, and the key of this home that makes digests useless elsewhere."""

    def __init__(self, home: Path, collect: desired.Collect) -> None:
        self._drop, self._hash = frozenset(collect.drop), frozenset(collect.hash)
        self._key = _key(paths.serving(home)) if self._hash else b""
        self.masks = bool(self._drop or self._hash)

    def record(self, record: records.Record, layout: str, names: Sequence[str]) -> records.Record:
        """The record without what must not be kept. ``names`` are those of the signature's inputs."""
        if not self.masks:
            return record
        return replace(
            record, inputs=self._inputs(record, layout, names), output=self._body(record.output),
            error=None if record.error is None else record.error.partition(":")[0],
        )  # fmt: skip

    def value(self, value: Any) -> Any:
        """The digest of a value: text for text, a number for a whole number; nothing else has a type for one."""
        if value is None or isinstance(value, bool | float | dict | list):
            return None
        digest = hmac.new(self._key, str(value).encode(), hashlib.sha256).hexdigest()
        return digest[:DIGEST_LETTERS] if isinstance(value, str) else int(digest[:7], 16)

    def _inputs(self, record: records.Record, layout: str, names: Sequence[str]) -> bytes | None:
        if record.inputs is None or layout == "tensor":
            return record.inputs
        if layout == "raw":
            return self._body(record.inputs)
        known = record.names if record.names is not None else names
        columns = orjson.loads(record.inputs)
        for index, name in enumerate(known):
            if name in self._drop:
                columns[index] = None
            elif name in self._hash and columns[index] is not None:
                columns[index] = [self.value(each) for each in columns[index]]
        return orjson.dumps(columns)

    def _body(self, body: bytes | None) -> bytes | None:
        """Rows with names, in whatever form a script got them; a body that is no table is searched for the names."""
        if body is None:
            return None
        value = orjson.loads(body)
        table = bodies.table(value)
        if table is not None:
            names = list(table)
            value = [dict(zip(names, row, strict=True)) for row in zip(*table.values(), strict=True)]
        return orjson.dumps(self._search(value))

    def _search(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._search(each) for each in value]
        if not isinstance(value, dict):
            return value
        return {
            name: self.value(each) if name in self._hash else self._search(each)
            for name, each in value.items()
            if name not in self._drop
        }


def sampled(request_id: str, rate: float) -> bool:
    """By the id, so that a request and its copies are kept or left out together."""
    return rate >= 1 or zlib.crc32(request_id.encode()) < rate * 2**32


def _key(folder: Path) -> bytes:
    """Made once per home, read by its owner alone."""
    path = folder / KEY_FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
    return path.read_bytes()
