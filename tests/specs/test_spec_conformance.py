"""The conformance report: each file of a folder ends in one outcome, with its reason."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "conformance.py"


@pytest.fixture(scope="module")
def conformance():
    spec = importlib.util.spec_from_file_location("conformance", TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules["conformance"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["conformance"]


FILES = {
    "job.yml": "command: echo hello\nenvironment: azureml:e:1\n",
    "deep/deployment.YAML": "name: blue\nmodel: azureml:m:1\ninstance_type: Standard_DS3_v2\ninstance_count: 1\n",
    "connection.yaml": "name: c\ntype: git\ntarget: https://x\ncredentials: {type: pat, pat: x}\n",
    "typo.yml": "$schema: https://azuremlschemas.azureedge.net/latest/data.schema.json\nname: d\npth: azureml:x:1\n",
    "template.yml": "name: {{NAME}}\nauth_mode: key\n",
    "conda.yaml": "channels: [conda-forge]\ndependencies: [python=3.11]\n",
    "MLTable": "paths: [{file: ./x.csv}]\n",
    "notes.txt": "no YAML\n",
}
OUTCOMES = {
    "conda.yaml": "beside",
    "connection.yaml": "refused",
    "deep/deployment.YAML": "loaded",
    "job.yml": "loaded",
    "template.yml": "faulty",
    "typo.yml": "faulty",
}


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_every_yaml_file_ends_in_one_outcome_with_its_reason(conformance, tmp_path: Path) -> None:
    corpus, out = written(tmp_path / "corpus", FILES), tmp_path / "out"
    assert conformance.main([str(corpus), "--out", str(out)]) == 0
    found = {each["file"]: each for each in json.loads((out / "conformance.json").read_text())}
    assert {name: each["outcome"] for name, each in found.items()} == OUTCOMES
    assert found["deep/deployment.YAML"]["given"] == ["endpoint_name"]
    assert all(each["reason"] and each["message"] for each in found.values() if each["outcome"] != "loaded")
    assert "line" not in found["typo.yml"]["reason"] and "typo.yml:3" in found["typo.yml"]["message"]
    page = (out / "conformance.md").read_text()
    assert "6 YAML files; 100.0 % loaded, or told why not." in page and "| refused | 1 |" in page


def test_a_traceback_fails_the_report(conformance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(conformance.documents, "load", broken)
    corpus = written(tmp_path / "corpus", {"job.yml": FILES["job.yml"]})
    assert conformance.main([str(corpus), "--out", str(tmp_path / "out")]) == 1
    assert "ZeroDivisionError: a fault of ours" in (tmp_path / "out" / "conformance.md").read_text()


def test_a_filter_that_fits_nothing_is_no_success(conformance, tmp_path: Path) -> None:
    corpus = written(tmp_path / "corpus", FILES)
    assert conformance.main([str(corpus), "--only", "nothing/*", "--out", str(tmp_path / "out")]) == 1


def test_jobs_are_run_and_what_became_of_them_is_told(conformance, tmp_path: Path) -> None:
    """The command line is a stand-in that ends as a job's name says; the jobs are real files."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "text = open(sys.argv[sys.argv.index('-f') + 1]).read()\n"
        "print('Job x is queued.', file=sys.stderr)\n"
        "sys.stderr.write('error: the command exited with 3\\n' if 'exit 3' in text else '')\n"
        "sys.exit(1 if 'exit 3' in text else 0)\n"
    )
    job = "environment: {image: python}\ncommand: "
    corpus = written(
        tmp_path / "corpus",
        {"good.yml": job + "echo 1\n", "bad.yml": job + "exit 3\n",
         "far.yml": job + "cat ${{inputs.x}}\ninputs: {x: {type: uri_file, path: https://example.com/x}}\n"},
    )  # fmt: skip
    out = tmp_path / "out"
    words = [str(corpus), "--out", str(out), "--run", "--command", f"{sys.executable} {program}"]
    assert conformance.main(words) == 0
    found = {each["file"]: (each["run"], each["cause"]) for each in json.loads((out / "conformance.json").read_text())}
    assert found == {
        "good.yml": ("completed", ""),
        "bad.yml": ("ended otherwise", "error: the command exited with 3"),
        "far.yml": ("skipped", "data at an address (https)"),
    }
