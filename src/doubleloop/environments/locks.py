"""From a spec to a lock: every package with its exact version, found by uv and remembered by what was asked."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from doubleloop.base import canonical, errors
from doubleloop.environments import builds, installer, interpreters, model, rules

# conda environments always hold these two, and older packages import pkg_resources, which setuptools 82 took away.
BASE = ("pip", "setuptools<81")

_PIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*==[^\s;=]+$")


def resolve(
    spec: model.CondaSpec,
    cache_dir: Path,
    *,
    uv_cache: Path | None = None,
    progress: installer.Progress | None = None,
    pythons: Sequence[model.Interpreter] | None = None,
) -> model.Lock:
    """The lock of a spec, on this platform. The same spec gets the same lock from ``cache_dir``, without network.

    ``pythons`` are the interpreters to choose from (those of the machine). Raises InvalidInput when the requirements
    cannot be met (quoting uv, naming file and line), Unavailable when the Python or the package index is not there.
    """
    for requirement in spec.requirements:
        rules.check_source(requirement)
    python = rules.choose_python(spec.python, interpreters.present() if pythons is None else pythons, spec.python_where)
    remembered = cache_dir / f"{_question(spec, python.minor)}.json"
    lock = _remembered(remembered)
    if lock is None:
        pins = _compile(spec, python, uv_cache, progress)
        lock = model.Lock(python.minor, pins, _platform(), tuple(option.text for option in spec.options))
        _remember(remembered, lock)
    return lock


def remember(spec: model.CondaSpec, cache_dir: Path, lock: model.Lock) -> None:
    """Let ``resolve`` answer this spec with a lock that was found elsewhere. One of another platform is of no use here
    and is left out; a spec that was resolved here already keeps its answer."""
    if lock.platform != _platform():
        return
    place = cache_dir / f"{_question(spec, lock.python)}.json"
    if not place.exists():
        _remember(place, lock)


def _question(spec: model.CondaSpec, python: str) -> str:
    """Everything that decides the answer; where it was written does not."""
    return canonical.sha256(
        {
            "layout": model.LAYOUT,
            "python": python,
            "platform": _platform(),
            "base": list(BASE),
            "requirements": [requirement.text for requirement in spec.requirements],
            "constraints": [constraint.text for constraint in spec.constraints],
            "options": [option.text for option in spec.options],
            "prereleases": spec.prereleases,
        }
    )


def _platform() -> str:
    return f"{sys.platform}-{platform.machine()}"


def _remembered(path: Path) -> model.Lock | None:
    try:
        return model.Lock.from_dict(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or not whole: ask again


def _remember(path: Path, lock: model.Lock) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False) as file:
        json.dump(lock.to_dict(), file, indent=1)
    os.replace(file.name, path)


def _compile(
    spec: model.CondaSpec, python: model.Interpreter, cache: Path | None, progress: installer.Progress | None
) -> tuple[str, ...]:
    base = [name for name in BASE if model.Requirement(name).name not in {each.name for each in spec.requirements}]
    try:
        return _fitting(spec, base, python, cache, progress)
    except installer.Refused as refused:
        if refused.no_network or not base:
            raise _explain(refused, spec) from refused
    try:  # the base gives way to what was asked for
        return _fitting(spec, ["pip"] if "pip" in base else [], python, cache, progress)
    except installer.Refused as refused:
        raise _explain(refused, spec) from refused


def _fitting(
    spec: model.CondaSpec,
    base: Sequence[str],
    python: model.Interpreter,
    cache: Path | None,
    progress: installer.Progress | None,
) -> tuple[str, ...]:
    """With a numpy that the others were built for, unless the file itself asks for another."""
    pins = _ask_uv(spec, base, python, cache, progress)
    more = builds.constraints(pins)
    if more:
        with contextlib.suppress(installer.Refused):
            return _ask_uv(spec, [*base, *more], python, cache, progress)
    return pins


def _ask_uv(
    spec: model.CondaSpec,
    base: Sequence[str],
    python: model.Interpreter,
    cache: Path | None,
    progress: installer.Progress | None,
) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory(prefix="doubleloop-lock-") as name:
        folder = Path(name)
        written = [each.text for each in (*spec.options, *spec.requirements)]
        (folder / "requirements.in").write_text("\n".join([*written, *base]) + "\n")
        (folder / "constraints.in").write_text("".join(f"{each.text}\n" for each in spec.constraints))
        arguments = ["pip", "compile", "requirements.in", "--python", str(python.path)]
        arguments += ["--constraints", "constraints.in"] if spec.constraints else []
        arguments += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
        # pip's own rule, because the file was written for pip: the best version over all the indexes it names.
        arguments += ["--index-strategy", "unsafe-best-match"]
        arguments += ["--prerelease", "allow"] if spec.prereleases else []
        printed = installer.run(arguments, folder=folder, cache=cache, progress=progress)
    return _pins(printed)


def _pins(printed: str) -> tuple[str, ...]:
    """The pins in the resolver's answer; options it repeats (``--no-binary`` ...) are in the lock already."""
    pins = [line.strip() for line in printed.splitlines() if line.strip() and not line.lstrip().startswith(("#", "-"))]
    odd = [pin for pin in pins if not _PIN.match(pin)]
    if odd:
        raise errors.InvalidInput(
            f"'{rules.masked(odd[0])}' is not an exact version from the package index",
            cure="A package that it depends on comes from elsewhere; choose another version of it.",
        )
    return tuple(sorted(pins))


def _explain(refused: installer.Refused, spec: model.CondaSpec) -> errors.DoubleloopError:
    said = rules.masked(refused.message)
    if refused.no_network:
        return errors.Unavailable(
            f"the package index does not answer: {said}",
            cure="Try again when it does. Environments that were built before need no network.",
        )
    blamed = _blamed(refused.message, spec)
    what = "the requirements cannot be met together" if blamed is None else f"'{blamed.text}' cannot be installed"
    return errors.InvalidInput(
        f"{what}: {said}",
        where=blamed.where if blamed else _whole_file(spec),
        cure="Change the version that the message names, or the Python version.",
    )


def _blamed(message: str, spec: model.CondaSpec) -> model.Requirement | None:
    """The requirement that uv's message is about: the line it could not read, or the first one it names."""
    position = re.search(r"requirements\.in` at position (\d+)|requirements\.in:(\d+)", message)
    written = [*spec.options, *spec.requirements]
    if position and position[1]:
        text = "".join(f"{each.text}\n" for each in written)
        number = text.encode()[: int(position[1])].decode(errors="ignore").count("\n")
        return written[number] if number < len(written) else None
    places = {}
    for requirement in spec.requirements:
        if not requirement.name:
            continue
        name = re.escape(requirement.name).replace("\\-", "[-_.]+")
        found = re.search(rf"(?<![\w.-]){name}(?![\w-])", message, re.IGNORECASE)
        if found:
            places[found.start()] = requirement
    return places[min(places)] if places else None


def _whole_file(spec: model.CondaSpec) -> errors.Where | None:
    files = [each.file for each in spec.requirements if each.file]
    return errors.Where(files[0]) if files else None
