"""Keys that can be told again without being stored."""

from __future__ import annotations

from typing import Protocol


class Keys(Protocol):
    def derive(self, purpose: str) -> str:
        """The key for a purpose: always the same one, not to be guessed from any other (URL-safe, 256 bits)."""
