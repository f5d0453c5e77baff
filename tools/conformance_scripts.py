"""Running the shell scripts of a folder as they are, with an `az` that is this command line first on PATH.

The folder is copied first: scripts write into it. Each command that fails is noted by the shell itself (an ERR trap
that it is given through ``BASH_ENV``), so the report names the first one, its line, and what was said of it. A script
that a shell cannot read because of ``<placeholders>`` has those filled in that ``--fill`` knows, and says so.

What a script lacks is told by the same words as for jobs (``conformance_jobs``), and by these: a command of Azure that
is not ``az ml``, a registry or a model that is not here, an image of a container.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import conformance_jobs as jobs

ENDS = ("ended", "lacking", "failed", "timed out", "skipped")
_MARK = "@@conformance"
_TRAP = f"""set -o errtrace
trap 'printf "%s %s:%s %s\\n" "{_MARK}" "${{BASH_SOURCE[0]}}" "$LINENO" "$?" >&2' ERR
"""
_LACKING = (
    ("Azure", r"This is not Azure: .*"),
    ("a registry of Azure", r"No registry is named '[^']*'|There is no model \S+ in [^\n]*"),
    ("a value that its user fills in", r"[^\n]* is a placeholder that has not been filled in"),
    (
        "a file that the folder does not have",
        r"the path '[^']*' of '[^']*' does not exist|[^\n]*: No such file or directory|cannot find or open [^\n]*",
    ),
    ("a command that is not here", r"line \d+: \S+: command not found"),
    ("a container", r"[^\n]*(?:container|docker)[^\n]*cannot be[^\n]*"),
)
# An answer of an endpoint that is none: curl takes it for a success.
_REFUSED = re.compile(r'^\{"error": ?\{"code":(?!.*This is not Azure).*', re.MULTILINE)
_ARGUMENT = re.compile(r"\$\{?[1-9](?![\d:-])")
# What a function of the script takes is none of the script's own arguments.
_FUNCTION = re.compile(r"^[ \t]*(?:function[ \t]+)?\w+[ \t]*\(\)\s*\{.*?^[ \t]*\}", re.MULTILINE | re.DOTALL)
_PLACEHOLDER = re.compile(r"<([A-Za-z][\w-]*)>")


@dataclass
class Ran:
    """``line``: the first command that failed, as ``file:line: text``; ``why``: what was said of it."""

    script: str
    end: str
    line: str = ""
    why: str = ""
    filled: list[str] = field(default_factory=list)
    failures: int = 0
    seconds: float = 0.0


def scripts(root: Path, pattern: str) -> Iterator[Path]:
    for path in sorted(root.rglob("*.sh")):
        if path.relative_to(root).match(pattern) or path.match(pattern):
            yield path


def uses_az(path: Path) -> bool:
    return re.search(r"\baz (?:ml|account|configure|config|extension)\b", path.read_text(errors="replace")) is not None


def run(
    root: Path, path: Path, words: list[str], environ: Mapping[str, str], timeout: float, out: Path,
    fill: Mapping[str, str],
) -> Ran:  # fmt: skip
    """One script, in its own folder, as ``bash SCRIPT words…``; all that it said is kept in ``out``."""
    name = path.relative_to(root).as_posix()
    if not words and _ARGUMENT.search(_FUNCTION.sub("", path.read_text(errors="replace"))):
        return Ran(name, "skipped", why="it takes arguments")
    filled = _fill(path, fill)
    trap, log = out / "trap.sh", out / f"{name.replace('/', '__')}.log"
    out.mkdir(parents=True, exist_ok=True)
    trap.write_text(_TRAP)
    began = time.monotonic()
    with log.open("wb") as said:
        process = subprocess.Popen(
            ["bash", path.name, *words], cwd=path.parent, env={**environ, "BASH_ENV": str(trap.absolute())},
            stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        code = _wait(process, timeout)
    ran = judged(path, code, log.read_text(errors="replace"))
    ran.script, ran.filled, ran.seconds = name, filled, round(time.monotonic() - began, 1)
    return ran


def _wait(process: subprocess.Popen[bytes], timeout: float) -> int | None:
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def judged(path: Path, code: int | None, text: str) -> Ran:
    """What became of a script that ended with ``code`` (None: it was stopped) and said ``text``."""
    failures = re.findall(rf"(?m)^(.*){_MARK} (.+):(\d+) (\d+)$", text)
    ran = Ran(path.name, "ended", failures=len(failures))
    refused = _REFUSED.search(text)
    if failures:
        _, file, number, _ = failures[0]
        before = text[: text.index(_MARK)]
        ran.line, ran.why = f"{Path(file).name}:{number}: {_line(path.parent / file, int(number))}", jobs.last(before)
    elif refused:
        ran.why = refused[0][:300]
    elif code != 0:
        ran.why = jobs.last(text)
    if code is None:
        ran.end = "timed out"
    elif failures or refused or code != 0:
        lacking = lacks(text)
        ran.end, ran.why = ("lacking", f"{lacking}; {ran.why}") if lacking else ("failed", ran.why)
    return ran


def lacks(text: str) -> str:
    """What was wanted and is not here, by the first word that says so."""
    found = [(match.start(), what, match[0]) for what, words in _LACKING if (match := re.search(words, text))]
    if found:
        _, what, said = min(found)
        return f"{what} ({' '.join(said.split())[:120]})"
    told = jobs.lacks(text)
    return "" if told.startswith(jobs.PROGRAM) else told  # a script's own mistake


def _line(file: Path, number: int) -> str:
    try:
        return file.read_text(errors="replace").splitlines()[number - 1].strip()[:160]
    except (OSError, IndexError):
        return ""


def _fill(path: Path, fill: Mapping[str, str]) -> list[str]:
    """Placeholders that keep the shell from reading a script are filled in, in the copy."""
    if subprocess.run(["bash", "-n", str(path)], capture_output=True, check=False).returncode == 0:
        return []
    text = path.read_text()
    known = [name for name in dict.fromkeys(_PLACEHOLDER.findall(text)) if name in fill]
    for name in known:
        text = text.replace(f"<{name}>", fill[name])
    path.write_text(text)
    return known


def shim(command: list[str], folder: Path) -> dict[str, str]:
    """The environment in which ``az`` is ours, and no browser is opened."""
    subprocess.run([*command, "az-shim", "--curl", str(folder)], capture_output=True, check=True)
    return {**os.environ, "PATH": f"{folder.absolute()}:{os.environ['PATH']}", "BROWSER": "true"}


def copied(root: Path, out: Path) -> Path:
    """A fresh copy, with what stands beside the folder being empty, as scripts may write there too."""
    place = out / "copy" / root.resolve().name
    shutil.rmtree(place.parent, ignore_errors=True)
    shutil.copytree(root, place)
    return place


def markdown(found: list[Ran]) -> list[str]:
    lines = ["", "## Scripts", "", "| script | end | first line that failed | why |", "|---|---|---|---|"]
    for each in found:
        cells = (f"`{each.script}`", each.end, each.line, each.why)
        lines.append("| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |")
    return lines
