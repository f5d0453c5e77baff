"""What a Dockerfile installs: its image, its pip and its conda lines. Nothing is run, all else is left out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from doubleloop.base import errors
from doubleloop.environments import conda, curated, model

_COMMANDS = re.compile(r"&&|\|\||;|\n")
_CONDA = ("conda", "mamba", "micromamba")
# Options that take a word, of pip and of conda; the others stand alone.
_VALUED = (
    "-c",
    "--channel",
    "-n",
    "--name",
    "-p",
    "--prefix",
    "--trusted-host",
    "--timeout",
    "--retries",
    "-t",
    "--target",
)
_KEPT = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--pre")
_FILES = ("-r", "--requirement")


def parse(text: str, file: str, read: conda.Reader) -> model.CondaSpec:
    """The pins of a Dockerfile; ``read`` gives a file of its folder. Raises InvalidInput with file and line."""
    spec = model.CondaSpec(name=file)
    left_out = []
    for line, word, rest in _instructions(text):
        where = errors.Where(file, line)
        if word == "FROM":
            spec = _from(rest, where)
        elif word == "RUN":
            for command in filter(None, (each.strip() for each in _COMMANDS.split(rest))):
                found = _command(command, where, _copied(read, where))
                spec = _joined(spec, found) if found else spec
                left_out += [] if found else [f"line {line}: {command[:60]}"]
    notice = f"left out of {file}, since no image is built: {'; '.join(left_out)}"
    return replace(spec, notices=(*spec.notices, notice)) if left_out else spec


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Each instruction with its line, its word and what follows; continued lines are one."""
    begun = 0
    parts: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or not (line.strip() or parts):
            continue
        begun = begun if parts else number
        parts.append(line.rstrip().removesuffix("\\"))
        if line.rstrip().endswith("\\"):
            continue
        word, _, rest = " ".join(parts).strip().partition(" ")
        parts = []
        yield begun, word.upper(), rest.strip()


def _from(rest: str, where: errors.Where) -> model.CondaSpec:
    words = [word for word in rest.split() if not word.startswith("--")]
    if not words:
        raise errors.InvalidInput("FROM names no image", where=where, cure="Write FROM IMAGE.")
    return curated.from_image(words[0])


def _command(command: str, where: errors.Where, read: conda.Reader) -> model.CondaSpec | None:
    """What one command of a RUN installs; None for one that installs no Python package."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    names = [PurePosixPath(word).name for word in words[:3]]
    if names[1:3] == ["-m", "pip"]:
        words, names = words[2:], ["pip", *names[3:]]
    if not names or len(words) < 2:
        return None
    if re.fullmatch(r"pip[\d.]*", names[0]) and words[1] == "install":
        return _pip(words[2:], where, read)
    if names[0] in _CONDA and words[1] == "install":
        return _of_conda(json.dumps({"dependencies": _plain(words[2:])}), where)
    if names[0] in _CONDA and words[1:3] in (["env", "create"], ["env", "update"]):
        path = next(
            (words[at + 1] for at, word in enumerate(words[:-1]) if word in ("-f", "--file")), "environment.yml"
        )
        return conda.parse(read(path), path, read)
    return None


def _plain(words: list[str]) -> list[str]:
    """The packages among the words of `conda install`."""
    kept = []
    rest = iter(words)
    for word in rest:
        if word in _VALUED:
            next(rest, "")
        elif not word.startswith("-"):
            kept.append(word)
    return kept


def _of_conda(text: str, where: errors.Where) -> model.CondaSpec:
    return conda.parse("\n" * (where.line - 1) + text, where.file)


def _pip(words: list[str], where: errors.Where, read: conda.Reader) -> model.CondaSpec:
    spec = model.CondaSpec()
    rest = iter(words)
    for word in rest:
        if word in _FILES:
            path = next(rest, "")
            spec = _joined(spec, conda.requirements(read(path), path, read))
            continue
        line = f"{word} {next(rest, '')}" if word in _KEPT and word != "--pre" else word
        if word in _VALUED:
            next(rest, "")
        elif not word.startswith("-") or word.partition("=")[0] in _KEPT:
            spec = _joined(spec, conda.requirements("\n" * (where.line - 1) + line, where.file, read))
    return spec


def _joined(one: model.CondaSpec, other: model.CondaSpec) -> model.CondaSpec:
    return replace(
        one,
        python=other.python or one.python,
        requirements=one.requirements + other.requirements,
        channels=one.channels + other.channels,
        constraints=one.constraints + other.constraints,
        options=one.options + other.options,
        prereleases=one.prereleases or other.prereleases,
        notices=one.notices + other.notices,
    )


def _copied(read: conda.Reader, where: errors.Where) -> conda.Reader:
    """Reads a file by the path that it has in the image: as it is in the folder, or by its name there."""

    def reader(path: str) -> str:
        for candidate in dict.fromkeys([path.lstrip("./"), PurePosixPath(path).name]):
            try:
                return read(candidate)
            except (errors.DoubleloopError, OSError):
                continue
        raise errors.InvalidInput(
            f"'{path}' is not in the folder of the Dockerfile", where=where, cure="Put it there, or correct the line."
        )

    return reader
