"""How much of a folder of Azure ML files this system takes: `make conformance CORPUS=path`.

Every YAML file is read as the command line would read it, and ends in one of these:

* **loaded**: read, checked, and ready to be used;
* **refused**: a kind, or a field, that is not served, with what to use instead;
* **faulty**: cannot be used anywhere, with the reason (a template that nobody filled in, a missing file);
* **beside**: no asset but a part of one (a conda file), or a file of another tool;
* **failed**: anything else, such as a traceback. There must be none.

With ``--run`` the jobs that need neither the internet nor a registry are submitted to a running server, one after the
other, and what became of them is recorded. The report is written as Markdown and as JSON.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.specs import detection, documents, fields, references

OUTCOMES = ("loaded", "refused", "faulty", "beside", "failed")
RUNS = ("completed", "skipped", "ended otherwise", "timed out", "not submitted")
# What a command line gives when a file leaves it out (`online-deployment create --endpoint-name NAME -f FILE`).
GIVEN = {"endpoint_name": "conformance", "name": "conformance"}
JOBS = detection.FAMILIES["job"]


@dataclass
class Result:
    """What became of one file. ``reason`` groups alike ones; ``message`` is the whole of what a person is told."""

    file: str
    outcome: str
    kind: str = ""
    reason: str = ""
    message: str = ""
    given: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    run: str = ""
    cause: str = ""
    seconds: float = 0.0


def files(root: Path, pattern: str = "*") -> Iterator[Path]:
    """All YAML files below ``root`` whose path (seen from there) fits ``pattern``, in order."""
    for path in sorted(root.rglob("*")):
        is_yaml = path.suffix.lower() in (".yml", ".yaml") and path.is_file()
        if is_yaml and fnmatch.fnmatch(path.relative_to(root).as_posix(), pattern):
            yield path


def read(path: Path) -> tuple[documents.Document, list[str]]:
    """The document, and the fields that were given as a command line gives them. Raises as ``documents.load``."""
    given: dict[str, str] = {}
    while True:
        try:
            return documents.load(path, sets=list(given.items())), list(given)
        except errors.InvalidInput as error:
            missing = error.where.path if error.where else ""
            if missing in given or missing not in GIVEN or not error.what.endswith("is missing"):
                raise
            given[missing] = GIVEN[missing]


def judge(root: Path, path: Path) -> tuple[Result, documents.Document | None]:
    name = path.relative_to(root).as_posix()
    try:
        document, given = read(path)
    except errors.NotSupported as error:
        return Result(name, "refused", reason=f"{error.what}. Instead: {error.cure}", message=str(error)), None
    except errors.DoubleloopError as error:
        outcome = "beside" if error.details == detection.FOREIGN else "faulty"
        told = Result(name, outcome, reason=error.what, message=str(error))
        return (told if error.where else Result(name, "failed", reason="no place", message=str(error))), None
    except Exception as error:  # that there is none is what is measured
        what = f"{type(error).__name__}: {error}"
        return Result(name, "failed", reason=what, message=what), None
    notices = [str(notice) for notice in document.notices]
    return Result(name, "loaded", document.kind, given=given, notices=notices), document


def needs(document: documents.Document) -> str:
    """What a job wants that a machine without internet, Azure and a prepared workspace lacks; empty: nothing."""
    for visit in fields.walk(document.model):
        if not isinstance(visit.value, str) or "${{" in visit.value:
            continue
        if visit.path_role or visit.name == "component":
            reference = references.parse(visit.value)
            if isinstance(reference, references.Url):
                return f"data at an address ({reference.scheme})"
            if isinstance(reference, references.RegistryAsset):
                return f"{reference.kind} of the registry {reference.registry}"
            if isinstance(reference, references.Asset):
                return "an asset of the workspace"
            if isinstance(reference, references.DatastorePath):
                return "data in a datastore"
        if visit.name == "image" and "cuda" in visit.value:
            return "a GPU"
    return ""


def run(path: Path, command: list[str], timeout: float) -> tuple[str, str]:
    """Submits a job and waits for its end; returns what became of it, and why."""
    call = [*command, "job", "create", "-f", str(path), "--stream", "-o", "json"]
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return "timed out", f"after {timeout:.0f} s"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("error:")] or lines[-1:]
    if done.returncode == 0:
        return "completed", ""
    submitted = any(line.startswith("Job ") for line in lines)
    return ("ended otherwise" if submitted else "not submitted"), " ".join(told)[:300]


def results(root: Path, arguments: argparse.Namespace) -> list[Result]:
    found = []
    for path in files(root, arguments.only):
        result, document = judge(root, path)
        found.append(result)
        if document is None or not arguments.run or document.kind not in JOBS:
            continue
        lacking = "" if arguments.all else needs(document)
        if lacking:
            result.run, result.cause = "skipped", lacking
            continue
        began = time.monotonic()
        result.run, result.cause = run(path, arguments.command.split(), arguments.timeout)
        result.seconds = round(time.monotonic() - began, 1)
        print(f"{result.run:16} {result.seconds:7.1f} s  {result.file}  {result.cause}", flush=True)
    return found


def markdown(found: list[Result]) -> str:
    count = Counter(each.outcome for each in found)
    said = sum(count[each] for each in OUTCOMES if each != "failed")
    share = f"{100 * said / len(found):.1f} %" if found else "-"
    lines = ["# Conformance", "", f"{len(found)} YAML files; {share} loaded, or told why not.", ""]
    lines += ["| outcome | files |", "|---|---|", *(f"| {name} | {count[name]} |" for name in OUTCOMES)]
    kinds = Counter(each.kind for each in found if each.outcome == "loaded")
    lines += ["", "## Loaded", "", "| kind | files |", "|---|---|"]
    lines += [f"| {kind.replace('_', ' ')} | {number} |" for kind, number in kinds.most_common()]
    for outcome in OUTCOMES[1:]:
        lines += _grouped(outcome.capitalize(), ((each.reason, each) for each in found if each.outcome == outcome))
    if any(each.run for each in found):
        runs = Counter(each.run for each in found if each.run)
        tried = sum(runs.values()) - runs["skipped"]
        rate = f"{100 * runs['completed'] / tried:.1f} %" if tried else "-"
        lines += ["", "## Jobs that were run", "", f"{tried} submitted, {rate} completed.", ""]
        lines += ["| end | jobs |", "|---|---|", *(f"| {name} | {runs[name]} |" for name in RUNS)]
        for end in RUNS[1:]:
            lines += _grouped(end.capitalize(), ((each.cause, each) for each in found if each.run == end))
    return "\n".join(lines) + "\n"


def _grouped(title: str, pairs: Iterable[tuple[str, Result]]) -> list[str]:
    groups: dict[str, list[Result]] = defaultdict(list)
    for reason, each in pairs:
        groups[reason].append(each)
    lines = ["", f"### {title}", ""] if groups else []
    for reason, members in sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        lines += [f"* {len(members)}: {' '.join(reason.split())}", *(f"  * `{each.file}`" for each in members)]
    return lines


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="folder with Azure ML YAML files, at any depth")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="files whose path fits, as in 'jobs/basics/*'")
    parser.add_argument(
        "--out", type=Path, default=Path(".conformance"), metavar="FOLDER", help="where the report goes"
    )
    parser.add_argument("--run", action="store_true", help="also submit the jobs that can run here")
    parser.add_argument("--all", action="store_true", help="with --run: also those that need what is not here")
    parser.add_argument("--timeout", type=float, default=600, metavar="SECONDS", help="for each job")
    parser.add_argument(
        "--command", default="doubleloop", help="command line to submit with, as in 'doubleloop --home X'"
    )
    arguments = parser.parse_args(words)
    if not arguments.corpus.is_dir():
        parser.error(f"'{arguments.corpus}' is not a folder")
    found = results(arguments.corpus, arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    report: list[dict[str, Any]] = [asdict(each) for each in found]
    (arguments.out / "conformance.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (arguments.out / "conformance.md").write_text(markdown(found), encoding="utf-8")
    count = Counter(each.outcome for each in found)
    print(", ".join(f"{count[name]} {name}" for name in OUTCOMES), f"-> {arguments.out / 'conformance.md'}")
    return 1 if count["failed"] or not found else 0


if __name__ == "__main__":
    sys.exit(main())
