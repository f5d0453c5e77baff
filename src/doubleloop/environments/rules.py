"""Judgement about what may be installed: substitutions, sources, Python versions. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from doubleloop.base import errors
from doubleloop.environments import model

_VCS = re.compile(r"^(?:[A-Za-z0-9._-]+(?:\[[^\]]*\])?\s*@\s*)?(git|hg|svn|bzr)(\+\w+)?(://|@)", re.I)
_URL = re.compile(r"^(?:[A-Za-z0-9._-]+(?:\[[^\]]*\])?\s*@\s*)?(https?|ftp|s3|gs|file)://?", re.I)
_PATH = re.compile(r"^(?:[A-Za-z0-9._-]+(?:\[[^\]]*\])?\s*@\s*)?(\.{0,2}/|~|\.$|\.\[)|\.(whl|tar\.gz|zip)$", re.I)
_EDITABLE = re.compile(r"^(-e|--editable)\b")


def substitutions(settings: Iterable[Mapping[str, Any]]) -> tuple[model.Substitution, ...]:
    """A workspace's ``package_substitutions`` (``[{match, action: drop | replace, with}]``). Raises InvalidInput."""
    return tuple(_substitution(entry, number) for number, entry in enumerate(settings))


def prepare(spec: model.CondaSpec, substitutes: Sequence[model.Substitution] = ()) -> model.CondaSpec:
    """The spec with substitutions applied and every source checked; what was done is added to the notices.

    Raises InvalidInput naming file and line of a source that cannot be had.
    """
    kept: list[model.Requirement] = []
    notices = list(spec.notices)
    for requirement in spec.requirements:
        substitute = next((each for each in substitutes if matches(each.match, requirement.text)), None)
        if substitute is None:
            kept.append(requirement)
            continue
        notices.append(_notice(requirement, substitute))
        if substitute.action is model.Action.REPLACE:
            kept.append(replace(requirement, text=substitute.replacement))
    for requirement in kept:
        check_source(requirement)
    return replace(spec, requirements=tuple(kept), notices=tuple(notices))


def matches(pattern: str, text: str) -> bool:
    """Whether the whole of ``text`` fits ``pattern``: ``*`` any characters, ``?`` one; letter case does not count."""
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern.strip())
    return re.fullmatch("".join(parts), text.strip(), re.IGNORECASE | re.DOTALL) is not None


def check_source(requirement: model.Requirement) -> None:
    """Packages come from the package index, where they have a version that can be pinned, scanned and had again."""
    text = requirement.text
    if _EDITABLE.match(text):
        what = "an editable install"
    elif vcs := _VCS.match(text):
        what = f"a {vcs[1].lower()} repository"
    elif _URL.match(text):
        what = "a direct address"
    elif _PATH.search(text.split(";")[0].strip()):
        what = "a local path"
    else:
        return
    raise errors.InvalidInput(
        f"'{masked(text)}' is {what}, which cannot be had here: packages come from the package index",
        where=requirement.where,
        cure="Name a released version, or add it to the workspace's 'package_substitutions' in the setup file: "
        f"{{match: '{masked(text)}', action: drop}} or {{match: ..., action: replace, with: 'package==version'}}.",
    )


def choose_python(
    wanted: str, present: Sequence[model.Interpreter], where: errors.Where | None = None
) -> model.Interpreter:
    """The newest interpreter that fits: of the same minor version for a pin, within a range else.

    A pin to the patch (``3.8.5``) takes any patch of that minor version, the exact one if it is there: patches do not
    change what installs. Raises Unavailable naming the versions that are present.
    """
    wanted = wanted or model.DEFAULT_PYTHON
    fitting = [python for python in present if _fits(wanted, python)]
    if not fitting:
        minors = sorted({python.minor for python in present}, key=lambda minor: int(minor.split(".")[1]))
        minor = re.sub(r"^[^\d]*(\d+\.\d+)?.*$", r"\1", wanted) or wanted
        raise errors.Unavailable(
            f"Python {wanted} is not on this machine; present: {', '.join(minors) or 'none'}",
            where=where,
            cure=f"Install it with 'uv python install {minor}' or pyenv, or ask for a version that is present.",
        )
    return max(fitting, key=lambda python: (python.version == wanted, python.order))


def masked(text: str) -> str:
    """The text without the credentials of addresses in it."""
    return re.sub(r"(\w+://)[^/\s@]+@", r"\1***@", text)


def _fits(wanted: str, python: model.Interpreter) -> bool:
    if re.match(r"^\d", wanted):
        return python.minor == ".".join(wanted.split(".")[:2])
    return all(_holds(part, python) for part in wanted.split(",") if part)


def _holds(part: str, python: model.Interpreter) -> bool:
    match = re.match(r"^(==|!=|>=|<=|~=|>|<)(\d+(?:\.\d+)*)(\.\*)?$", part)
    if not match:
        return False
    operator, version = match[1], tuple(int(number) for number in match[2].split("."))
    # Compared as far as the range says: 3.11.7 is not above 3.11, and is within <=3.11.
    mine = python.order[: len(version)]
    if operator == "~=":
        return mine >= version and mine[: len(version) - 1] == version[:-1]
    return {
        "==": mine == version, "!=": mine != version, ">=": mine >= version, "<=": mine <= version,
        ">": mine > version, "<": mine < version,
    }[operator]  # fmt: skip


def _substitution(entry: Mapping[str, Any], number: int) -> model.Substitution:
    path = f"package_substitutions[{number}]"
    unknown = set(entry) - {"match", "action", "with", "reason"}
    match, action, replacement = entry.get("match"), str(entry.get("action")), entry.get("with") or ""
    if unknown or not isinstance(match, str) or not match or action not in (*model.Action,):
        raise errors.InvalidInput(f"{path}: needs 'match' (a pattern) and 'action' (drop or replace, with 'with')")
    if (action == model.Action.REPLACE) != bool(replacement):
        raise errors.InvalidInput(f"{path}: 'with' belongs to 'action: replace', and only to it")
    return model.Substitution(match, model.Action(action), str(replacement), str(entry.get("reason") or ""))


def _notice(requirement: model.Requirement, substitute: model.Substitution) -> str:
    done = "dropped" if substitute.action is model.Action.DROP else f"replaced by '{substitute.replacement}'"
    why = f" ({substitute.reason})" if substitute.reason else ""
    return f"{requirement.where}: '{masked(requirement.text)}' {done} by the workspace's package substitutions{why}"
