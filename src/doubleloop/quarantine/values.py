"""Stand-ins for what a pickle builds: only as much of it as a name or an array's length can depend on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

_MOST_ITEMS = 1024


class _Opaque:
    """A value that is neither followed nor needed."""

    def __repr__(self) -> str:
        return "OPAQUE"


OPAQUE = _Opaque()


class Global(NamedTuple):
    """A name in a module, as the unpickler would import it."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Items:
    """A dict as far as its keys are short texts; others are left out."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}

    def update(self, flat: list[Any]) -> None:
        for key, value in zip(flat[::2], flat[1::2], strict=False):
            if isinstance(key, str) and (key in self.held or len(self.held) < _MOST_ITEMS):
                self.held[key] = value


@dataclass(eq=False, slots=True)
class Instance:
    """What calling ``of`` gave. Arguments and state are kept for the few classes that decide about bytes."""

    of: Global
    arguments: Any = None
    state: Items | None = None
    built: Any = None

    @property
    def is_code(self) -> bool:
        return re.search(r"(^|\.)(cloudpickle|dill)(\.|$)", self.of.module) is not None

    def set_state(self, state: Any) -> None:
        """BUILD: attributes from a dict, or from a pair of dicts; anything else is kept as it is."""
        self.built = state
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, Items) and self.state is not None:
                self.state.held.update(part.held)

    def get(self, name: str) -> Any:
        return self.state.held.get(name) if self.state is not None else None
