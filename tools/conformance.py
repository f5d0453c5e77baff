"""How much of a folder of Azure ML files this system takes: `make conformance CORPUS=path`.

Every YAML file is read as the command line would read it, and ends in one of these:

* **loaded**: read, checked, and ready to be used;
* **refused**: a kind, or a field, that is not served, with what to use instead;
* **faulty**: cannot be used anywhere, with the reason (a template that nobody filled in, a missing file);
* **beside**: no asset but a part of one (a conda file), or a file of another tool;
* **failed**: anything else, such as a traceback. There must be none.

With ``--run`` the jobs that need neither the internet nor a registry are submitted to a running server, one after the
other, and what became of them is recorded (``conformance_jobs`` says by which test a job lacks something). The report
is written as Markdown and as JSON after every job: a run that was cut off goes on with ``--resume``.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import conformance_jobs as jobs
import conformance_scripts as scripts

from doubleloop.base import errors
from doubleloop.specs import detection, documents

OUTCOMES = ("loaded", "refused", "faulty", "beside", "failed")
# What a command line gives when a file leaves it out (`online-deployment create --endpoint-name NAME -f FILE`).
GIVEN = {"endpoint_name": "conformance", "name": "conformance"}
SCRIPTS = "scripts.json"
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


def results(root: Path, arguments: argparse.Namespace) -> list[Result]:
    judged = [(path, *judge(root, path)) for path in files(root, arguments.only)]
    found = [result for _, result, _ in judged]
    if not arguments.run:
        return found
    command = arguments.command.split()
    before = kept(arguments.out) if arguments.resume else {}
    ready = [(path, document) for path, _, document in judged if document is not None]
    registered = assets_there(arguments, ready, command)
    for result in found:  # all of them, before a report of this run is written
        earlier = before.get(result.file)
        if earlier is not None and earlier.run in arguments.keep:
            result.run, result.cause, result.seconds = earlier.run, earlier.cause, earlier.seconds
    for path, result, document in judged:
        if document is None or document.kind not in JOBS or result.run:
            continue
        lacking = "" if arguments.all else jobs.needs(document, registered)
        if lacking:
            result.run, result.cause = "skipped", lacking
            continue
        began = time.monotonic()
        log = arguments.out / "logs" / f"{result.file.replace('/', '__')}.log"
        result.run, result.cause = jobs.run(path, command, arguments.timeout, log)
        result.seconds = round(time.monotonic() - began, 1)
        print(f"{result.run:16} {result.seconds:7.1f} s  {result.file}  {result.cause}", flush=True)
        write(found, arguments.out)
    return found


def assets_there(
    arguments: argparse.Namespace, ready: list[tuple[Path, documents.Document]], command: list[str]
) -> set[str]:
    """The folder's own assets: created now, or (resuming without ``--prepare``) those that an earlier run created."""
    file = arguments.out / "prepared.json"
    if arguments.prepare:
        names = jobs.prepare(ready, command, print)
        arguments.out.mkdir(parents=True, exist_ok=True)
        replaced(file, json.dumps(sorted(names), indent=1) + "\n")
        return names
    return set(json.loads(file.read_text())) if arguments.resume and file.exists() else set()


def run_scripts(root: Path, arguments: argparse.Namespace) -> list[scripts.Ran]:
    """The scripts of a copy of the folder; the report is written after each."""
    out = arguments.out
    place = scripts.copied(root, out / "scripts")
    environ = scripts.shim(arguments.command.split(), out / "scripts" / "bin")
    fill = dict(each.split("=", 1) for each in arguments.fill)
    before = {each.script: each for each in kept_scripts(out)}
    found = dict(before) if arguments.resume else {}
    for path in scripts.scripts(place, arguments.scripts):
        name = path.relative_to(place).as_posix()
        earlier = found.get(name)
        if not scripts.uses_az(path) or (earlier and earlier.end in (*arguments.keep, "ended")):
            continue
        ran = scripts.run(
            place, path, arguments.words, environ, arguments.timeout, out / "scripts" / "logs", fill
        )  # fmt: skip
        found[name] = ran
        print(f"{ran.end:10} {ran.seconds:7.1f} s  {ran.script}  {ran.line}  {ran.why}", flush=True)
        replaced(out / SCRIPTS, json.dumps([asdict(each) for each in found.values()], indent=1) + "\n")
        page = "\n".join(["# Conformance", *scripts.markdown(sorted(found.values(), key=lambda each: each.script))])
        replaced((out / SCRIPTS).with_suffix(".md"), page + "\n")
    return list(found.values())


def kept_scripts(out: Path) -> list[scripts.Ran]:
    file = out / SCRIPTS
    return [scripts.Ran(**each) for each in json.loads(file.read_text())] if file.exists() else []


def replaced(file: Path, text: str) -> None:
    part = file.with_name(f"{file.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)


def kept(out: Path) -> dict[str, Result]:
    """What an earlier run found, by file."""
    file = out / "conformance.json"
    body = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return {each["file"]: Result(**each) for each in body}


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
        tried = sum(runs.values()) - runs["skipped"] - runs["lacking"]
        rate = f"{100 * runs['completed'] / tried:.1f} %" if tried else "-"
        lines += ["", "## Jobs that were run", "", f"{tried} of what can run here, {rate} completed.", ""]
        lines += ["| end | jobs |", "|---|---|", *(f"| {name} | {runs[name]} |" for name in jobs.RUNS)]
        for end in jobs.RUNS[1:]:
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


def write(found: list[Result], out: Path) -> None:
    """The report, whole or as it was before."""
    out.mkdir(parents=True, exist_ok=True)
    report: list[dict[str, Any]] = [asdict(each) for each in found]
    replaced(out / "conformance.json", json.dumps(report, indent=1) + "\n")
    replaced(out / "conformance.md", markdown(found))


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="folder with Azure ML YAML files, at any depth")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="files whose path fits, as in 'jobs/basics/*'")
    parser.add_argument(
        "--out", type=Path, default=Path(".conformance"), metavar="FOLDER", help="where the report goes"
    )
    parser.add_argument("--run", action="store_true", help="also submit the jobs that can run here")
    parser.add_argument("--all", action="store_true", help="with --run: also those that need what is not here")
    parser.add_argument("--prepare", action="store_true", help="with --run: first create the folder's own assets")
    parser.add_argument("--resume", action="store_true", help="with --run: keep what the report in --out has")
    parser.add_argument(
        "--keep", default="completed,lacking", metavar="ENDS", help="what --resume keeps  [default: completed,lacking]"
    )
    parser.add_argument(
        "--scripts", metavar="PATTERN", help="run the shell scripts whose path fits, in place of the YAML files"
    )
    parser.add_argument("--words", nargs="*", default=[], metavar="WORD", help="with --scripts: given to each script")
    parser.add_argument(
        "--fill", nargs="*", default=[], metavar="NAME=VALUE", help="with --scripts: what <NAME> stands for"
    )
    parser.add_argument("--timeout", type=float, default=600, metavar="SECONDS", help="for each job or script")
    parser.add_argument(
        "--command", default="doubleloop", help="command line to submit with, as in 'doubleloop --home X'"
    )
    arguments = parser.parse_args(words)
    if not arguments.corpus.is_dir():
        parser.error(f"'{arguments.corpus}' is not a folder")
    arguments.keep = arguments.keep.split(",")
    if arguments.scripts:
        ran = run_scripts(arguments.corpus, arguments)
        count = Counter(each.end for each in ran)
        print(", ".join(f"{count[name]} {name}" for name in scripts.ENDS), f"-> {arguments.out / SCRIPTS}")
        return 1 if not ran else 0
    found = results(arguments.corpus, arguments)
    write(found, arguments.out)
    count = Counter(each.outcome for each in found)
    print(", ".join(f"{count[name]} {name}" for name in OUTCOMES), f"-> {arguments.out / 'conformance.md'}")
    return 1 if count["failed"] or not found else 0


if __name__ == "__main__":
    sys.exit(main())
