"""The demonstrations that there are, by scenario."""

from __future__ import annotations

from typing import Any

from doubleloop.demo import language, play, vision
from doubleloop.settings.model import Settings

KINDS: dict[str, type[play.Play]] = {
    "classical": play.Play,
    "language": language.LanguagePlay,
    "vision": vision.VisionPlay,
}


def main(
    scenario: str, settings: Settings, *, yes: bool = False, restart: bool = False, leave: bool = False
) -> dict[str, Any] | None:
    """As ``play.main``."""
    return play.main(KINDS[scenario], settings, yes=yes, restart=restart, leave=leave)
