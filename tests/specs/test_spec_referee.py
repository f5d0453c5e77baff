"""Azure's own SDK is the referee: what it reads in a file, we read; what it calls wrong, we call wrong.

Its answers for the small cases are written down (`tools/referee.py`). With `DOUBLELOOP_REFEREE` (a Python that has
`azure-ai-ml`) and `DOUBLELOOP_CORPUS` (a folder) every file of the folder is asked about too.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from doubleloop.base import errors
from doubleloop.specs import documents, fields, pointers

TOOL = Path(__file__).parents[2] / "tools" / "referee.py"
GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "referee" / "golden.json").read_text())
CASES = Path(__file__).parent / "referee" / "cases"
PYTHON, CORPUS = os.environ.get("DOUBLELOOP_REFEREE"), os.environ.get("DOUBLELOOP_CORPUS")

# What we take and the SDK's own reader does not, on purpose.
MORE = {
    "command-case.yml": "words of a choice are taken in any case, the type of a job too",
    "command-loose-text.yml": "texts may be written without quotes: yes, on, 1.10",
    "component-name-with-dash.yml": "names of components follow the rule of all names here",
}
# What the SDK's dictionary leaves out. (It also calls components, trials and environments that are written inline
# anonymous, and names kinds of identities anew, which have no effect here.)
ITS_OWN = {"$schema"}
INLINE = {"component", "environment", "trial"}
UNITS = {"kb": 2**10, "mb": 2**20, "gb": 2**30}  # it counts the size of a mini-batch in bytes


def plain(value: Any) -> str:
    """A value in the form in which both can be compared: references without prefix, true as 1, as the SDK writes it."""
    if isinstance(value, (int, float)):
        return f"{float(value):g}"
    text = str(value).removeprefix("azureml:").removeprefix("file:")
    size = re.fullmatch(r"(\d+) ?([kmg]b)", text.lower())
    if size:
        return f"{float(int(size[1]) * UNITS[size[2]]):g}"
    try:
        return f"{float(text):g}"
    except ValueError:
        return {"true": "1", "false": "0"}.get(text.lower()) or text.rstrip("/").rsplit("/./", 1)[-1]


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, dict) and set(theirs) == {"path"}:
        theirs = theirs["path"]  # a binding
    one, other = plain(ours), plain(theirs)
    return one == other or one.lower() == other.lower() or Path(one).name == Path(other).name


def leaves(document: documents.Document) -> Iterator[tuple[pointers.Pointer, Any]]:
    """Every plain value that the file wrote, at its place; a conda file as what is in it."""
    for visit in fields.walk(document.model):
        is_anonymous = visit.name in ("name", "version") and INLINE & set(visit.pointer)
        if isinstance(visit.owner, fields.TextFile) or visit.name in ITS_OWN or is_anonymous:
            continue
        if "identity" in visit.pointer:
            continue
        if isinstance(visit.value, fields.TextFile):
            inside = YAML(typ="safe").load(visit.value.text)
            yield from (((*visit.pointer, key), value) for key, value in inside.items())
        elif isinstance(visit.value, (str, int, float, bool)):
            yield visit.pointer, visit.value
        elif isinstance(visit.value, dict):
            plain_ones = {key: each for key, each in visit.value.items() if isinstance(each, (str, int, float, bool))}
            yield from (((*visit.pointer, key), each) for key, each in plain_ones.items())


def found(theirs: dict[str, Any], at: pointers.Pointer) -> Any:
    """The value at a place of the SDK's dictionary, where the fields of an inline step are those of its component."""
    direct = pointers.get(theirs, at)
    if direct is None and at[0] == "jobs" and len(at) > 2:
        return pointers.get(theirs, (*at[:2], "component", *at[2:]))
    if direct is None and at[-1] in ("value", "default", "path"):
        return pointers.get(theirs, at[:-1])
    return direct


def differences(document: documents.Document, theirs: dict[str, Any]) -> list[str]:
    told = []
    for at, ours in leaves(document):
        other = found(theirs, at)
        if other is None or (
            isinstance(other, (dict, list)) and not (isinstance(other, dict) and set(other) == {"path"})
        ):
            continue  # left out, or in a shape of its own
        if not same(ours, other):
            told.append(f"{'.'.join(at)}: ours {ours!r}, theirs {other!r}")
    return told


def compared(document: documents.Document, theirs: dict[str, Any]) -> int:
    return sum(not isinstance(found(theirs, at), (dict, list, type(None))) for at, _ in leaves(document))


@pytest.mark.parametrize("name", GOLDEN)
def test_a_small_case_is_read_as_the_sdk_reads_it(name: str) -> None:
    golden = GOLDEN[name]
    if "error" in golden and name not in MORE:
        with pytest.raises(errors.DoubleloopError) as caught:
            documents.load(CASES / name)
        assert caught.value.where is not None
        return
    document = documents.load(CASES / name)
    assert document.kind == golden["kind"]
    if "loaded" in golden:
        assert differences(document, golden["loaded"]) == []
        assert compared(document, golden["loaded"]) >= 2, "nothing was compared"


def test_every_case_has_its_answer() -> None:
    assert {path.name for path in CASES.glob("*.yml")} - {"component.yml"} <= set(GOLDEN)
    assert set(MORE) <= {name for name, golden in GOLDEN.items() if "error" in golden}


def test_a_difference_is_seen() -> None:
    document = documents.load(CASES / "compute.yml")
    theirs = {**GOLDEN["compute.yml"]["loaded"], "max_instances": 9}
    assert differences(document, theirs) == ["max_instances: ours 4, theirs 9"]


@pytest.mark.slow
@pytest.mark.skipif(not (PYTHON and CORPUS), reason="set DOUBLELOOP_REFEREE and DOUBLELOOP_CORPUS")
def test_every_file_of_a_corpus_is_read_as_the_sdk_reads_it() -> None:
    spec = importlib.util.spec_from_file_location("referee", TOOL)
    referee = importlib.util.module_from_spec(spec)
    sys.modules["referee"] = referee
    spec.loader.exec_module(referee)
    lines, loaded = [], {}
    for path in sorted(path for path in Path(CORPUS).rglob("*") if path.suffix.lower() in (".yml", ".yaml")):
        line = referee.question(path)
        if line is None:
            continue
        if line["kind"].endswith("_deployment"):
            line["sets"] = {"endpoint_name": "corpus"}  # given on the command line, as a rule
        try:
            loaded[str(path)] = documents.load(path, sets=list(line.get("sets", {}).items()))
        except errors.DoubleloopError:
            continue
        lines.append(line)
    wrong = []
    for answer in referee.ask(PYTHON, lines):
        if "loaded" in answer:
            wrong += [f"{answer['file']}: {each}" for each in differences(loaded[answer["file"]], answer["loaded"])]
    assert wrong == []
