"""A data version and where its bytes are."""

from __future__ import annotations

from dataclasses import dataclass

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
