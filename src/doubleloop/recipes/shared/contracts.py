"""Whether a table keeps a contract (a ``doubleloop/contract`` file), where a job has the file and no server.

The same rules and verdicts as the server's (``frames.contracts``), in pandas; the tests hold one against the other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pandas

from . import tables
from .problems import BadData

_ALSO = {"min": "at_least", "max": "at_most", "allowed": "in", "pattern": "matches"}
_SAME = {
    "int": "integer", "long": "integer", "float": "number", "double": "number", "str": "string", "text": "string",
    "bool": "boolean", "timestamp": "datetime",
}  # fmt: skip
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHOWN = 5  # reasons in one sentence


def keep(frame: pandas.DataFrame, path: str, where: str) -> None:
    """Raises BadData when the table breaks the contract at ``path``, with the rules, how many rows and an example; an
    empty ``path`` asks for nothing."""
    if not path:
        return
    found = list(broken(_read(path), frame, datetime.now(UTC)))
    if found:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise BadData(f"{where} breaks {os.path.basename(path)}: {'; '.join(found[:_SHOWN])}{more}; mend the data")


def broken(contract: Mapping[str, Any], frame: pandas.DataFrame, now: datetime) -> Iterator[str]:
    """A sentence for each rule that is broken. ``contract``: the file as a mapping; ``now``: with a time zone."""
    columns = {str(name): _rules(rules) for name, rules in (contract.get("columns") or {}).items()}
    rows = contract.get("rows") or {}
    if len(frame) < rows.get("at_least", 0) or len(frame) > rows.get("at_most", len(frame)):
        yield f"the table breaks 'rows': it has {len(frame)}"
    if contract.get("extra_columns", "allow") == "refuse":
        for name in frame.columns:
            if name not in columns:
                yield f"column {name} breaks 'extra': the contract does not name it"
    for name, rules in columns.items():
        if name in frame.columns:
            yield from _column(name, rules, frame[name])
        elif rules.get("required", True):
            yield f"column {name} breaks 'missing': it is not there"
    for group in contract.get("unique") or []:
        yield from _together([str(each) for each in (group if isinstance(group, list) else [group])], frame)
    if contract.get("freshness"):
        yield from _freshness(contract["freshness"], frame, now)


def _read(path: str) -> Mapping[str, Any]:
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            found = yaml.safe_load(file)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadData(f"the contract {os.path.basename(path)} cannot be read: {error}") from error
    if not isinstance(found, dict) or not (found.get("columns") or found.get("rows") or found.get("freshness")):
        raise BadData(f"{os.path.basename(path)} is no contract: it names no columns, rows or freshness")
    return found


def _rules(written: Any) -> dict[str, Any]:
    rules = {"type": written} if isinstance(written, str) else dict(written or {})
    rules = {_ALSO.get(key, key): value for key, value in rules.items() if value is not None}
    return {**rules, "type": _SAME.get(rules.get("type", ""), rules.get("type"))}


def _column(name: str, rules: Mapping[str, Any], values: pandas.Series) -> Iterator[str]:
    missing = values.isna()
    allowed = rules.get("null_share", 1.0) if rules.get("nullable", True) else 0.0
    if missing.sum() > allowed * len(values):
        yield _told(name, "nullable", missing, values)
    if rules["type"] and not _fits(values[~missing], rules["type"]):
        yield f"column {name} breaks 'type': it is not of type {rules['type']}"
        return
    for rule, wrong in _wrong(rules, values):
        wrong = wrong & ~missing
        if wrong.sum() > (0.0 if rule == "unique" else rules.get("outside_share", 0.0)) * len(values):
            yield _told(name, rule, wrong, values)


def _wrong(rules: Mapping[str, Any], values: pandas.Series) -> Iterator[tuple[str, pandas.Series]]:
    compare: dict[str, Callable[[Any, Any], Any]] = {
        "at_least": lambda found, bound: found.ge(bound), "at_most": lambda found, bound: found.le(bound)
    }  # fmt: skip
    for rule, holds in compare.items():
        if rule in rules:
            is_time = rules["type"] in ("date", "datetime")
            found = _moments(values) if is_time else pandas.to_numeric(values, errors="coerce")
            yield rule, ~holds(found, pandas.Timestamp(rules[rule], tz="UTC") if is_time else rules[rule])
    if "in" in rules:
        yield "in", ~_among(values, rules["in"])
    if "matches" in rules:
        yield "matches", ~values.astype(str).map(lambda text: re.fullmatch(rules["matches"], text) is not None)
    if rules.get("unique"):
        yield "unique", values.duplicated(keep=False)


def _fits(present: pandas.Series, kind: str) -> bool:
    types = pandas.api.types
    if not len(present):
        return True
    is_flag = types.is_bool_dtype(present)
    if kind in ("integer", "number"):
        if is_flag or not types.is_numeric_dtype(present):
            return False
        return kind == "number" or bool((present == present.round()).all())
    if kind == "boolean":
        return is_flag
    is_text = types.is_string_dtype(present) or isinstance(present.dtype, pandas.CategoricalDtype)
    if kind == "string":
        return is_text
    if is_text:
        return bool(_moments(present).notna().all())
    return types.is_datetime64_any_dtype(present)


def _moments(values: pandas.Series) -> pandas.Series:
    return pandas.to_datetime(values, errors="coerce", utc=True, format="ISO8601")


def _among(values: pandas.Series, allowed: list[Any]) -> pandas.Series:
    if pandas.api.types.is_numeric_dtype(values) and not pandas.api.types.is_bool_dtype(values):
        return values.isin([each for each in allowed if not isinstance(each, bool | str)])
    texts = [str(each).lower() if isinstance(each, bool) else str(each) for each in allowed]
    found = values.astype(str)
    return (found.str.lower() if pandas.api.types.is_bool_dtype(values) else found).isin(texts)


def _together(group: list[str], frame: pandas.DataFrame) -> Iterator[str]:
    name = " + ".join(group)
    if not set(group) <= set(frame.columns):
        yield f"column {name} breaks 'missing': it is not there"
    elif frame.duplicated(group, keep=False).any():
        yield f"column {name} breaks 'unique' in {int(frame.duplicated(group, keep=False).sum())} rows"


def _freshness(asked: Mapping[str, Any], frame: pandas.DataFrame, now: datetime) -> Iterator[str]:
    column, within = str(asked["column"]), str(asked["within"]).strip()
    if column not in frame.columns:
        yield f"column {column} breaks 'missing': it is not there"
        return
    newest = _moments(frame[column]).max()
    if pandas.isna(newest) or (now - newest).total_seconds() > float(within[:-1]) * _UNITS[within[-1]]:
        yield f"column {column} breaks 'freshness': its newest value is {newest}, which is not within {within}"


def _told(name: str, rule: str, wrong: pandas.Series, values: pandas.Series) -> str:
    example = f"row {tables.row(values, wrong)}: {str(values[wrong].iloc[0])[:100]}"
    return f"column {name} breaks '{rule}' in {int(wrong.sum())} rows ({example})"
