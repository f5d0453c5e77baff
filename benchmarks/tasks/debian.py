"""The Debian FAQ, and descriptions of Debian's packages, in English and as its translators have them (DDTP): what is
written of a package has the package's own licence. From Debian 12.15, the last of its lists."""

from __future__ import annotations

import bz2
import hashlib
import html
import io
import lzma
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from benchmarks.tasks import data
from doubleloop.recipes.language import preparing

ARCHIVE = "http://deb.debian.org/debian/"
LISTS = "dists/bookworm/main/"
FAQ = "pool/main/d/debian-faq/debian-faq_11.1_all.deb"
FILES = {
    FAQ: "427426e0cfa6888622fc1d72631071cb4b5a1f86ccde722e7820bcef284de5d0",
    LISTS + "i18n/Translation-en.xz": "a3d4a0bfd8e9242810b0885eda7c1a6e05dac15b333ddbaab03ba56f2dfa4bf0",
    LISTS + "i18n/Translation-it.bz2": "f01a5f14992838ff8140da6e025c514c900c4f55d3169d5ef1710ed2deee2bde",
    LISTS + "binary-amd64/Packages.xz": "9e0b5aabb2465b3d2e7a7fe27f9913846277833f7a2826e7767acccff5b588c5",
}
# Of packages that one source makes, and of sources of one family (0ad, 0ad-data), all are on one side: their
# descriptions are much alike. What begins more names than this is no family but a language (python-, node-).
HELD_OUT, FAMILY = 10, 20


def _file(path: str) -> Path:
    return data.fetched(ARCHIVE + path, data.CACHE / path.replace("/", "-"), FILES[path])


def _stanzas(path: str) -> Iterator[dict[str, str]]:
    """Fields of each paragraph of a control file, lines of one field joined."""
    file = _file(LISTS + path)
    opened = lzma.open if path.endswith(".xz") else bz2.open
    with opened(file, "rt", encoding="utf-8") as lines:
        found: dict[str, str] = {}
        name = ""
        for line in lines:
            if line == "\n":
                yield found
                found = {}
            elif line[0] == " ":
                found[name] += "\n" + line[1:].rstrip("\n")
            else:
                name, _, value = line.rstrip("\n").partition(": ")
                found[name] = value
        if found:
            yield found


def _families() -> dict[str, str]:
    """Package → the family of its source."""
    sources = {
        each["Package"]: each.get("Source", each["Package"]).split(" ")[0]
        for each in _stanzas("binary-amd64/Packages.xz")
    }
    sizes = Counter(source.split("-")[0] for source in set(sources.values()))
    return {
        package: source if sizes[source.split("-")[0]] > FAMILY else source.split("-")[0]
        for package, source in sources.items()
    }


def _described(language: str) -> dict[tuple[str, str], tuple[str, str]]:
    """(package, sum of the English description) → what it is in a line, and at length."""
    suffix = "xz" if language == "en" else "bz2"
    found = {}
    for each in _stanzas(f"i18n/Translation-{language}.{suffix}"):
        short, _, long = each[f"Description-{language}"].partition("\n")
        found[each["Package"], each["Description-md5"]] = (short.strip(), long)
    return found


def _side(family: str) -> bool:
    """Whether a family is held out: one in ten."""
    return int(_hash(family), 16) % HELD_OUT == 0


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def pairs(folder: Path) -> dict[str, Path]:
    """What packages are, in a line of English and of Italian."""
    families, italian = _families(), _described("it")
    sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for key, (english, _) in sorted(_described("en").items()):
        if key in italian and key[0] in families:
            sides[_side(families[key[0]])].setdefault(english, italian[key][0])
    train, test = ({text: said for text, said in side.items() if text != said} for side in sides)
    for text in train.keys() & test.keys():
        del test[text]
    return {"training_data": _written(train, folder / "train.parquet"),
            "test_data": _written(test, folder / "test.parquet")}  # fmt: skip


def _written(pairs: dict[str, str], path: Path) -> Path:
    rows = sorted(pairs.items(), key=lambda pair: _hash(pair[0]))
    return data._write(pl.DataFrame(rows, schema=["text", "translation"], orient="row"), path)


def texts(folder: Path) -> dict[str, Path]:
    """What packages are, at length, in English: of a family one."""
    families = _families()
    seen: dict[str, str] = {}
    for (package, _), (_, long) in sorted(_described("en").items()):
        text = re.sub(r"\s*\n\s*", " ", re.sub(r"\n \.\n?", "\n", long)).strip()
        if package in families and len(text) >= 200:
            seen.setdefault(families[package], text)
    sides = ([text for family, text in seen.items() if _side(family) is held] for held in (False, True))
    train, test = (pl.DataFrame({"text": sorted(set(side), key=_hash)}) for side in sides)
    return {"training_data": data._write(train[:8000], folder / "train.parquet"),
            "test_data": data._write(test, folder / "test.parquet")}  # fmt: skip


def questions(folder: Path) -> dict[str, Path]:
    """The Debian FAQ (GPL-2+): its questions, the chapter that each stands in, and the sentences of its answer, each of
    which is right."""
    rows = []
    for page in _pages():
        parts = re.split(r'<h[23][^>]*class="title"[^>]*>(.*?)</h[23]>', page, flags=re.S)
        asked = [re.sub(r"^[\d.\s]+", "", _plain(title)) for title in parts[1::2]]
        said = [" ".join(map(_plain, re.findall(r"<p>(.*?)</p>", body, flags=re.S))) for body in parts[2::2]]
        for question, answer in zip(asked, said, strict=True):
            if question.endswith("?") and answer:
                sentences = [sentence for sentence, _, _ in preparing.sentences(answer)]
                rows.append((question, " ".join(filter(None, said)), sentences))
    table = pl.DataFrame(rows, schema=["question", "context", "answer"], orient="row")
    return {"training_data": data._write(table, folder / "faq.parquet")}


def _pages() -> Iterator[str]:
    """The package's pages in English: its files are the last member of an ar archive, a header of 60 bytes each."""
    content, at = _file(FAQ).read_bytes(), 8
    while not content[at:].startswith(b"data.tar.xz"):
        at += 60 + int(content[at + 48 : at + 58]) + int(content[at + 48 : at + 58]) % 2
    size = int(content[at + 48 : at + 58])
    with tarfile.open(fileobj=io.BytesIO(content[at + 60 : at + 60 + size]), mode="r:xz") as archive:
        for member in sorted(archive, key=lambda each: each.name):
            if re.fullmatch(r".*/FAQ/[\w-]+\.html", member.name):
                file = archive.extractfile(member)
                assert file is not None
                yield file.read().decode("utf-8")


def _plain(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())
