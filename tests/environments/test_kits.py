"""The serving kit is installed once for a Python, and an installation that cannot have it goes without."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from doubleloop.environments import kits
from doubleloop.scorer import kit

MINOR = "{}.{}".format(*sys.version_info[:2])


@pytest.fixture
def pins(index: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kit of one small package, with its hash, as the real one is pinned."""
    index.add("alpha", "1.0")
    hashed = hashlib.sha256((index.folder / "alpha-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    path = tmp_path / "kit.txt"
    path.write_text(f"alpha==1.0 --hash=sha256:{hashed}\n")
    monkeypatch.setattr(kit, "PINS", str(path))
    return path


def ensure(home: Path, said: list[str] | None = None, minor: str = MINOR) -> str:
    progress = (said if said is not None else []).append
    return kits.ensure(home, minor, Path(sys.executable), progress, home / "uv")


def test_a_kit_is_installed_once_and_other_pins_are_another_kit(pins: Path, tmp_path: Path) -> None:
    home, said = tmp_path / "home", list[str]()
    assert ensure(home, said) == "" and said
    place = kits.folder(home) / kit.name(sys.version_info)
    assert (place / "alpha.py").exists() and os.access(place, os.R_OK)
    assert ensure(home, again := []) == "" and not again
    pins.write_text(pins.read_text() + "# newer\n")
    assert ensure(home) == "" and len(list(kits.folder(home).iterdir())) == 2


def test_without_an_index_there_is_none_and_it_is_not_asked_again_at_once(
    pins: Path, index: Any, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    index.stop()
    why = ensure(home)
    assert why and [each.name for each in kits.folder(home).iterdir()] == [kit.name(sys.version_info) + kit.FAILED]
    assert ensure(home, said := []) == why and not said
    failed = kits.folder(home) / (kit.name(sys.version_info) + kit.FAILED)
    os.utime(failed, (1, 1))
    assert ensure(home, said := []) and said, "after a while it is tried again"


def test_a_package_of_another_content_is_no_kit(pins: Path, tmp_path: Path) -> None:
    pins.write_text("alpha==1.0 --hash=sha256:" + "0" * 64 + "\n")
    assert "ash" in ensure(tmp_path / "home")
    assert not (kits.folder(tmp_path / "home") / kit.name(sys.version_info)).exists()


def test_an_old_python_has_no_kit(tmp_path: Path) -> None:
    assert ensure(tmp_path / "home", minor="3.8") == "there is no serving kit for Python 3.8"
    assert not kits.folder(tmp_path / "home").exists()
