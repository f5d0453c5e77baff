"""A data version and where its bytes are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from doubleloop.catalog import model as catalog

TYPES = ("uri_file", "uri_folder", "mltable")


@dataclass(frozen=True)
class DataVersion:
    """``reference`` is content (``tree:sha256:…[/file]``, ``blob:sha256:…``); ``type`` one of TYPES."""

    asset: catalog.Asset
    type: str
    reference: str

    @property
    def id(self) -> str:
        return self.asset.id


@dataclass(frozen=True)
class Contract:
    """Of the data asset ``name``. ``document`` is the file's wire form, ``hash`` that of what it says."""

    workspace: str
    name: str
    document: dict[str, Any]
    on_break: str
    hash: str
    created_by: str
    created_at: datetime

    @property
    def subject(self) -> str:
        return f"contract:{self.workspace}/{self.name}"

    @property
    def refuses(self) -> bool:
        return self.on_break == "refuse"


@dataclass(frozen=True)
class Judged:
    """How content keeps the contract of hash ``contract``, looked at ``at``; ``violations`` as ``frames`` has them."""

    contract: str
    reasons: tuple[str, ...]
    violations: tuple[dict[str, Any], ...]
    rows: int
    at: datetime

    @property
    def broken(self) -> bool:
        return bool(self.violations)


@dataclass(frozen=True)
class ContractCheck:
    version: str
    judged: Judged
