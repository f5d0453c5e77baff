"""Running the jobs of a folder of Azure ML files, and telling why those that did not complete did not.

What a job lacks here is told by two mechanical tests. Before it is submitted, from its file: data at an address, in a
datastore or in somebody's workspace, components of a registry, an image for GPUs. After it failed, from its log: a
host name that could not be looked up, no CUDA driver, Azure's identity service, a program or a package of Azure's that
its image would bring.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Collection
from pathlib import Path

from doubleloop.specs import documents, fields, references

RUNS = ("completed", "lacking", "skipped", "ended otherwise", "timed out", "not submitted")
# Kinds that jobs name, in an order in which each finds what it needs.
ASSETS = {
    "environment": "environment", "data": "data", "model": "model", "command_component": "component",
    "pipeline_component": "component", "parallel_component": "component", "spark_component": "component",
}  # fmt: skip
PROGRAM = "a program of its image"
_LACKING = (
    (
        "the internet",
        r"Temporary failure in name resolution|Name or service not known|nodename nor servname|NameResolutionError"
        r"|Failed to resolve|Could not resolve host|unable to resolve host|Network is unreachable"
        r"|could not be fetched: <urlopen|could not be looked up",
    ),
    (
        "a GPU",
        r"Found no NVIDIA driver|No CUDA GPUs are available|not compiled with CUDA|libcuda\.so|nvidia-smi: .*not found"
        r"|doesn't have NCCL|ncclSystemError|Expected one of cpu, cuda|no NVIDIA GPU",
    ),
    ("Azure", r"ManagedIdentityCredential|DefaultAzureCredential|AZUREML_ARM_|Run\.get_context\(allow_offline=False\)"),
    ("a package of Azure's images", r"No module named 'azureml(?:\.\w+)*'"),
    (
        PROGRAM,
        r"(?m)^.*?\b[\w./-]+: (?:command )?not found$|No such file or directory: '[\w-]+'$"
        r"|bash: line \d+: /[\w./-]+: No such file or directory$",
    ),
)
Told = tuple[str, str]


def needs(document: documents.Document, registered: Collection[str] = ()) -> str:
    """What a job wants that a machine without internet, Azure and a prepared workspace lacks; empty: nothing.

    ``registered`` are the assets that are there, as ``data:NAME``.
    """
    for visit in fields.walk(document.model):
        if not isinstance(visit.value, str) or "${{" in visit.value or "outputs" in visit.pointer:
            continue
        if visit.path_role or visit.name == "component":
            lacking = _far(visit.value, registered)
            if lacking:
                return lacking
        if visit.name == "image" and "cuda" in visit.value:
            return "a GPU"
        if visit.pointer[-2:] == ("build", "path") and _is_for_gpus(Path(visit.value)):
            return "a GPU"
    return ""


def _is_for_gpus(context: Path) -> bool:
    """Whether what a folder's Dockerfile begins with is an image for GPUs."""
    file = context / "Dockerfile"
    return file.is_file() and re.search(r"(?im)^FROM .*(?:cuda|gpu|acpt)", file.read_text()) is not None


def _far(written: str, registered: Collection[str]) -> str:
    reference = references.parse(written)
    if isinstance(reference, references.Url):
        return f"data at an address ({reference.scheme})"
    if isinstance(reference, references.RegistryAsset):
        return f"{reference.kind} of the registry {reference.registry}"
    if isinstance(reference, references.Asset) and reference.name not in registered:
        return "an asset of the workspace"
    if isinstance(reference, references.DatastorePath):
        return "data in a datastore"
    return ""


def prepare(
    found: Collection[tuple[Path, documents.Document]], command: list[str], tell: Callable[[str], None]
) -> set[str]:
    """Create the assets of the folder that need nothing from afar; the names of those that are there then."""
    names: set[str] = set()
    for kind, noun in ASSETS.items():
        for path, document in found:
            if document.kind != kind or needs(document, names):
                continue
            done = subprocess.run(
                [*command, noun, "create", "-f", str(path), "-o", "none"], capture_output=True, text=True, check=False
            )
            there = done.returncode == 0 or "exists with other content" in done.stderr
            names |= {document.model.name} if there else set()
            tell(f"{noun} {document.model.name}: {'is there' if there else last(done.stderr)}")
    return names


def run(path: Path, command: list[str], timeout: float, log: Path) -> Told:
    """Submits a job and waits for its end; returns what became of it, and why. ``log`` keeps what was said."""
    call = [*command, "job", "create", "-f", str(path), "--stream", "-o", "json"]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as said:
        try:
            done = subprocess.run(call, stdout=said, stderr=subprocess.STDOUT, timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            done = None
    text = log.read_text(encoding="utf-8", errors="replace")
    if done is None:
        cancel(text, command)
        return "timed out", f"after {timeout:.0f} s"
    return judged(done.returncode, text)


def judged(code: int, text: str) -> Told:
    """What became of a job, from its exit code and all that was said."""
    if code == 0:
        return "completed", ""
    submitted = re.search(r"(?m)^Job \S+ is ", text) is not None
    lacking = lacks(text) if submitted else _unbound(text)
    if lacking:
        return "lacking", lacking
    return ("ended otherwise" if submitted else "not submitted"), last(text)


def _unbound(text: str) -> str:
    match = re.search(r"the input '[^']*' has no value", text)
    return f"a value that its user gives ({match[0]})" if match else ""


def lacks(text: str) -> str:
    """What a log says that this machine has not: what it wants, and the words that say so. Empty: nothing."""
    for what, pattern in _LACKING:
        match = re.search(pattern, text)
        if match:
            return f"{what} ({' '.join(match[0].split())[-90:]})"
    return ""


def last(text: str) -> str:
    """The error that was told, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("error:", "ERROR:"))] or lines[-1:]
    return " ".join(told)[:300]


def cancel(text: str, command: list[str]) -> None:
    match = re.search(r"(?m)^Job (\S+) is ", text)
    if match:
        subprocess.run([*command, "job", "cancel", "-n", match[1], "-o", "none"], capture_output=True, check=False)
