"""Documents of the kinds that have no class of their own: computes, datastores, set-ups, releases, rules, contracts."""

from __future__ import annotations

from typing import Any

from doubleloop.sdk.entities.model import Entity, Lines, Pointer, Sheet


class LoadedFile(Entity):
    """What a file holds: ``kind`` and ``spec``, its fields as the file names them."""

    def __init__(self, kind: str, spec: dict[str, Any], lines: Lines) -> None:
        self.__dict__.update(_file_kind=kind, _spec=spec, _lines=lines)

    @property
    def kind(self) -> str:
        return str(self.__dict__["_file_kind"])

    @property
    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self.__dict__["_spec"]
        return found

    @property
    def name(self) -> str | None:
        return self.spec.get("name")

    def _write(self, sheet: Sheet, at: Pointer) -> Any:
        for pointer, line in self.__dict__["_lines"].items():
            sheet.say((*at, *pointer), line)
        return sheet.value(self.spec, at)

    def _fields(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name}
