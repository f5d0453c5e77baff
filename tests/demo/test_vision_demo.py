"""The demonstration of vision: its data, and that its files are a project."""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from doubleloop.base import errors
from doubleloop.demo import numerals, play, scenarios, vision
from doubleloop.frames import pictures
from doubleloop.specs import documents


def archive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As the package has them: IDX files, with random images and labels that say which they are."""
    draw = np.random.default_rng(0)
    path = folder / numerals.ARCHIVE
    with tarfile.open(path, "w:gz", compresslevel=1) as held:
        for name, count in (("train", 60), ("t10k", 200)):
            images = draw.integers(0, 200, (count, 28, 28), dtype=np.uint8)
            labels = (np.arange(count) % 10).astype(np.uint8)
            for kind, content in (
                ("images-idx3", struct.pack(">4i", 2051, count, 28, 28) + images.tobytes()),
                ("labels-idx1", struct.pack(">2i", 2049, count) + labels.tobytes()),
            ):
                entry = tarfile.TarInfo(f"package/data/{name}-{kind}-ubyte")
                entry.size = len(content)
                held.addfile(entry, io.BytesIO(content))
    for name, value in (("LEARNT", 40), ("LABELLED", 10), ("HELD", 50), ("A_WEEK", 30)):
        monkeypatch.setattr(numerals, name, value)
    monkeypatch.setattr(numerals, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_no_image_is_both_learnt_judged_by_and_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path, monkeypatch)
    found = numerals.prepare(path, tmp_path / "files")
    tables = [pl.read_parquet(each) for each in (found.data, found.labelled, found.hold_out, found.hold_out_after)]
    assert [each.height for each in tables] == [40, 10, 50, 50]
    seen = [{digit.image for digit in week.digits} for week in found.weeks]
    known = [set(each["image"].to_list()) for each in tables]
    everything = [*known[:3], known[3] - known[2], *seen]
    assert sum(map(len, everything)) == len(set().union(*everything)) == 40 + 10 + 50 + 25 + 90
    assert [[digit.bad for digit in week.digits].count(True) for week in found.weeks] == [0, 15, 15]
    light = [np.mean([pictures.decode(each.image).mean() for each in week.digits]) for week in found.weeks]
    assert light[0] + 5 < min(light[1:]), "the bad camera lets in too much light"
    again = numerals.prepare(path, tmp_path / "again")
    assert again.hold_out_after.read_bytes() == found.hold_out_after.read_bytes()


def test_another_archive_than_the_known_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path, monkeypatch)
    assert numerals.fetch(tmp_path / "cache", path.as_uri()).read_bytes() == path.read_bytes()
    (tmp_path / "other").write_bytes(b"other")
    for address, said in (("other", "not the known one"), ("none", "cannot be fetched")):
        with pytest.raises(errors.Unavailable, match=said):
            numerals.fetch(tmp_path / f"cache of {address}", (tmp_path / address).as_uri())


def test_the_files_of_the_project_are_whole_and_speak_of_each_other() -> None:
    folder = play.project("digits")
    release = documents.load(folder / "release.yml").model
    rule, monitor = documents.load(folder / "rule.yml").model, documents.load(folder / "monitor.yml").model
    assert release.scenario == "vision" and not any(stage.retrain for stage in release.stages)
    assert rule.where["monitor"] == monitor.name == vision.MONITOR
    assert rule.where["signal"] in monitor.create_monitor.monitoring_signals
    assert scenarios.KINDS["vision"] is vision.VisionPlay
    for name in ("setup", "labeling", "train/pipeline", "deploy/online-deployment"):
        documents.load(folder / f"{name}.yml")
