"""What people have as texts, read row by row: tables, CoNLL files, and what the labelling room or Label Studio exports.

Every row keeps its file and number (from 1; of a table the first below the header, of JSON lines and CoNLL the line),
so that what is wrong with a text or label can be told with its place. A folder is all its files, in the order of names.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas

from ..shared.problems import BadData

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
SEQUENCES = (".conll", ".bio", ".iob", ".iob2")
ALL = (*SEQUENCES, *TABLES)
MOST_CHARS = 1_000_000


@dataclass(frozen=True)
class Row:
    """``number`` counts from 1 in ``file``."""

    file: str
    number: int
    values: dict[str, Any]

    @property
    def place(self) -> str:
        return f"{self.file}, row {self.number}"


@dataclass(frozen=True)
class Sentence:
    """Tokens and, where known, a tag each; ``line`` is that of the first token in ``file``."""

    file: str
    line: int
    tokens: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"{self.file}, line {self.line}"


def rows(path: str, encoding: str = "utf-8") -> list[Row]:
    """All rows of a table file, or of all table files of a folder. Raises BadData."""
    found = [row for file in files(path, TABLES) for row in _rows(file, encoding)]
    if not found:
        raise BadData(f"{called(path)} holds no rows; give a table with at least one")
    return found


def files(path: str, endings: Sequence[str]) -> list[str]:
    """The file itself, or a folder's files with these endings. Raises BadData where there is none."""
    if not os.path.exists(path):
        raise BadData(f"{called(path)} is not there; name a file or a folder")
    if os.path.isfile(path):
        return [path]
    found = [
        os.path.join(folder, name)
        for folder, _, names in sorted(os.walk(path))
        for name in sorted(names)
        if os.path.splitext(name)[1].lower() in endings and not name.startswith(".")
    ]
    if not found:
        raise BadData(
            f"the folder {called(path)} holds no {', '.join(endings)} file; put the data in one of these forms"
        )
    return found


def text_of(file: str, encoding: str = "utf-8") -> str:
    """A file's text, without a byte order mark. Raises BadData with the line where the encoding ends to fit."""
    with open(file, "rb") as opened:
        content = opened.read()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    try:
        text = content.decode("utf-8-sig" if encoding.lower().replace("-", "") == "utf8" else encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadData(
            f"{called(file)}, line {line}: byte 0x{content[error.start]:02x} is not {encoding}; the file mixes "
            "encodings or has another one: save it as UTF-8, or name the one it has as 'encoding'"
        ) from error
    except LookupError as error:
        raise BadData(f"'{encoding}' is not an encoding; use a name such as utf-8, latin-1 or cp1252") from error
    return text


def _rows(file: str, encoding: str) -> Iterator[Row]:
    ending, name = os.path.splitext(file)[1].lower(), called(file)
    if ending == ".parquet":
        yield from _parquet(file)
    elif ending in (".jsonl", ".ndjson"):
        for number, line in enumerate(text_of(file, encoding).split("\n"), 1):
            if line.strip():
                yield Row(name, number, _object(line, f"{name}, row {number}"))
    elif ending == ".json":
        yield from _json(file, encoding)
    elif ending in (".csv", ".tsv"):
        yield from _delimited(file, encoding, "," if ending == ".csv" else "\t")
    else:
        raise BadData(f"{name} is no table; give one of {', '.join(TABLES)}")


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise BadData(f"{place}: not JSON ({error}); each line is one object") from error
    if not isinstance(found, dict):
        raise BadData(f'{place}: {type(found).__name__} instead of an object such as {{"text": "..."}}')
    return found


def _json(file: str, encoding: str) -> Iterator[Row]:
    name = called(file)
    try:
        found = json.loads(text_of(file, encoding))
    except ValueError as error:
        raise BadData(f"{name}: not JSON ({error})") from error
    if not isinstance(found, list):
        raise BadData(f'{name} is not a list of objects; write [{{"text": "..."}}, ...] or JSON lines')
    for number, each in enumerate(found, 1):
        if not isinstance(each, dict):
            raise BadData(f"{name}, row {number}: {type(each).__name__} instead of an object")
        yield Row(name, number, _task(each) if "data" in each and "annotations" in each else each)


def _task(task: dict[str, Any]) -> dict[str, Any]:
    """A task of Label Studio with its first annotation that was not cancelled, as ``text`` and ``label``."""
    said = [each for each in task["annotations"] if not each.get("was_cancelled")]
    values = {**task["data"]}
    if said:
        results = [each["value"] for each in said[0].get("result", []) if "value" in each]
        choice = next((value["choices"][0] for value in results if value.get("choices")), None)
        spans = [
            {"start": value["start"], "end": value["end"], "label": value["labels"][0]}
            for value in results if value.get("labels")
        ]  # fmt: skip
        values["label"] = spans if choice is None else choice
    return values


def _delimited(file: str, encoding: str, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)  # a text that is too long is told with its row, by ``texts``
    name, reader = called(file), csv.reader(io.StringIO(text_of(file, encoding), newline=""), delimiter=delimiter)
    try:
        names = next(reader, None)
        if not names:
            raise BadData(f"{name} is empty; its first line names the columns")
        for number, cells in enumerate((each for each in reader if each), 1):
            if len(cells) != len(names):
                raise BadData(
                    f"{name}, row {number}: {len(cells)} values where the header names {len(names)} columns; "
                    "put texts with a delimiter or line break in double quotes"
                )
            yield Row(name, number, dict(zip(names, cells, strict=True)))
    except csv.Error as error:
        raise BadData(f"{name}, line {reader.line_num}: {error}; put texts in double quotes") from error


def _parquet(file: str) -> Iterator[Row]:
    try:
        frame = pandas.read_parquet(file)
    except (ValueError, OSError) as error:
        raise BadData(f"{called(file)} is not a Parquet file ({error})") from error
    for number, values in enumerate(frame.to_dict("records"), 1):
        yield Row(called(file), number, {str(key): _plain(value) for key, value in values.items()})


def _plain(value: Any) -> Any:
    value = value.tolist() if hasattr(value, "tolist") else value
    return None if isinstance(value, float) and value != value else value


def texts(found: Sequence[Row], column: str, *, empty: str = "error", most_chars: int = MOST_CHARS) -> list[Row]:
    """The rows whose ``column`` holds a text. ``empty``: ``error``, or ``drop`` for those without one.

    Raises BadData for a missing column, an empty text, one that is no text, one of more than ``most_chars`` characters,
    and one with characters that no text has (NUL), which a file in another encoding or a binary one leaves.
    """
    kept = []
    for row in found:
        if column not in row.values:
            names = ", ".join(map(str, row.values)) or "none"
            raise BadData(f"{row.place}: there is no column '{column}'; its columns: {names}")
        value = row.values[column]
        if value is None or (isinstance(value, str) and not value.strip()):
            if empty == "drop":
                continue
            raise BadData(f"{row.place}: '{column}' is empty; fill it in, take the row out, or set empty: drop")
        if not isinstance(value, str):
            raise BadData(f"{row.place}: '{column}' is {type(value).__name__}, not a text: {str(value)[:60]!r}")
        if len(value) > most_chars:
            raise BadData(
                f"{row.place}: '{column}' has {len(value):,} characters, more than {most_chars:,}; "
                "split it, or raise max_chars"
            )
        if "\x00" in value:
            raise BadData(f"{row.place}: '{column}' holds a NUL character, as binary data has; save it as text")
        kept.append(row)
    if not kept:
        raise BadData(f"no row has a text in '{column}'; give at least one")
    return kept


def labelled(
    found: Sequence[Row], text: str, label: str, *, allowed: Sequence[str] = (), conflicts: str = "error"
) -> list[tuple[Row, str]]:
    """Rows with their label as a text. ``allowed``: the schema; any label where it is empty.

    ``conflicts``: what becomes of a text that has several labels: ``error``, or ``drop`` all its rows. Raises BadData
    for a missing label, one outside the schema, and for conflicting ones.
    """
    pairs = [(row, _label(row, label, allowed)) for row in found]
    first: dict[str, tuple[Row, str]] = {}
    contested: set[str] = set()
    for row, said in pairs:
        key = normalised(row.values[text])
        other, before = first.setdefault(key, (row, said))
        if said != before and conflicts == "error":
            raise BadData(
                f"{row.place}: the text has the label '{said}', but '{before}' in {other.place}; decide for one, "
                "or set conflicts: drop"
            )
        if said != before:
            contested.add(key)
    kept = [(row, said) for row, said in pairs if normalised(row.values[text]) not in contested]
    if not kept:
        raise BadData(f"all texts have conflicting labels in '{label}'; decide for one each")
    return kept


def _label(row: Row, column: str, allowed: Sequence[str]) -> str:
    if column not in row.values:
        raise BadData(f"{row.place}: there is no column '{column}'; its columns: {', '.join(map(str, row.values))}")
    value = row.values[column]
    if value is None or value == "":
        raise BadData(f"{row.place}: '{column}' is empty; label the row or take it out")
    if isinstance(value, list | dict):
        raise BadData(f"{row.place}: '{column}' holds {type(value).__name__}, not one label")
    said = str(value)
    if allowed and said not in allowed:
        raise BadData(f"{row.place}: the label '{said}' is outside the schema ({', '.join(allowed)})")
    return said


def normalised(text: str) -> str:
    """What two texts have in common that differ in case and white space alone."""
    return " ".join(text.casefold().split())


def sequences(
    path: str, *, text: str = "text", label: str = "label", allowed: Sequence[str] = (), encoding: str = "utf-8",
    spans: bool = True,
) -> list[Sentence]:  # fmt: skip
    """Sentences with tags: of CoNLL files (a token and its tag a line), or of a table.

    In a table ``label`` holds spans ``[{"start", "end", "label"}]`` of ``text`` (in characters, the end not counted),
    or as many tags as ``text`` has tokens. ``allowed``: tags, or labels of spans. Raises BadData.
    """
    found: list[Sentence] = []
    for file in files(path, ALL):
        if os.path.splitext(file)[1].lower() in TABLES:
            read = [_sentence(row, text, label) for row in texts(rows(file, encoding), text)]
        else:
            read = list(_conll(file, encoding))
        found += read
    if not found:
        raise BadData(f"{called(path)} holds no sentence; write a token and its tag a line, or a table with spans")
    known = {prefix + each for each in allowed for prefix in (("B-", "I-") if spans else ("",))} | {"O"}
    for sentence in found if allowed else ():
        for number, tag in enumerate(sentence.tags):
            if tag not in known:
                raise BadData(
                    f"{sentence.place}: token {number + 1} '{sentence.tokens[number]}' has the tag '{tag}', outside "
                    f"the schema ({', '.join(allowed)})"
                )
    return found


def _conll(file: str, encoding: str) -> Iterator[Sentence]:
    name = called(file)
    tokens: list[str] = []
    tags: list[str] = []
    start = 1
    for number, line in enumerate([*text_of(file, encoding).split("\n"), ""], 1):
        line = line.rstrip("\r")
        if not line.strip() or line.startswith("-DOCSTART-"):
            if tokens:
                yield Sentence(name, start, tuple(tokens), tuple(tags))
            tokens, tags, start = [], [], number + 1
            continue
        cells = line.split("\t") if "\t" in line else line.split()
        if len(cells) < 2 or not cells[0].strip() or not cells[-1].strip():
            raise BadData(f"{name}, line {number}: '{line[:60]}' is not a token and its tag; write both, a tab between")
        tokens.append(cells[0])
        tags.append(cells[-1])


TOKEN = re.compile(r"\w+|[^\w\s]")


def tokens(text: str) -> list[tuple[str, int, int]]:
    """Words and signs with their places in characters: the tokens that the labelling room's CoNLL export has."""
    return [(found[0], found.start(), found.end()) for found in TOKEN.finditer(text)]


def _sentence(row: Row, text: str, label: str) -> Sentence:
    if label not in row.values:
        raise BadData(f"{row.place}: there is no column '{label}'; its columns: {', '.join(map(str, row.values))}")
    value, written = row.values[label], row.values[text]
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise BadData(f"{row.place}: '{label}' is not JSON ({error})") from error
    if isinstance(value, str):
        value = value.split()
    if not isinstance(value, list):
        raise BadData(
            f"{row.place}: '{label}' is {type(value).__name__}; give a list of spans, or a tag for each token"
        )
    if value and not isinstance(value[0], dict):
        words = written.split() if len(written.split()) == len(value) else [token for token, _, _ in tokens(written)]
        if len(words) != len(value):
            raise BadData(f"{row.place}: {len(value)} tags for {len(words)} tokens; give one each")
        return Sentence(row.file, row.number, tuple(words), tuple(map(str, value)))
    return _from_spans(row, written, value)


def _from_spans(row: Row, written: str, spans: list[dict[str, Any]]) -> Sentence:
    spans = sorted((_span(row, written, each) for each in spans), key=lambda each: each["start"])
    for one, two in itertools.pairwise(spans):
        if two["start"] < one["end"]:
            raise BadData(
                f"{row.place}: the spans '{one['label']}' {one['start']}-{one['end']} and '{two['label']}' "
                f"{two['start']}-{two['end']} overlap, so their annotations conflict; keep one"
            )
    words, tags, before = [], [], None
    for token, start, end in tokens(written):
        span = next((each for each in spans if each["start"] < end and start < each["end"]), None)
        words.append(token)
        tags.append("O" if span is None else f"{'I' if span is before else 'B'}-{span['label']}")
        before = span
    return Sentence(row.file, row.number, tuple(words), tuple(tags))


def _span(row: Row, written: str, span: dict[str, Any]) -> dict[str, Any]:
    try:
        start, end, label = int(span["start"]), int(span["end"]), str(span["label"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadData(f"{row.place}: a span is {{start, end, label}}, not {json.dumps(span)[:80]}") from error
    if not 0 <= start < end <= len(written):
        raise BadData(f"{row.place}: the span {start}-{end} lies outside the text of {len(written)} characters")
    return {"start": start, "end": end, "label": label}


def frame(found: Sequence[Row]) -> pandas.DataFrame:
    """The rows as contracts read them: what a CSV file leaves empty is missing, and its numbers are numbers."""
    table = pandas.DataFrame([row.values for row in found])
    for column in table.columns:
        values = table[column].mask(table[column].map(lambda each: each == "" if isinstance(each, str) else False))
        written = values.dropna()
        if len(written) and written.map(lambda each: isinstance(each, str)).all():
            values = _inferred(values, written)
        table[column] = values
    return table


def _inferred(values: pandas.Series, written: pandas.Series) -> pandas.Series:
    if written.str.lower().isin(["true", "false"]).all():
        return values.map(lambda each: each.lower() == "true" if isinstance(each, str) else None)
    numbers = pandas.to_numeric(values, errors="coerce")
    return numbers if numbers.notna().sum() == len(written) else values


def called(path: str) -> str:
    return os.path.basename(os.path.normpath(path))
