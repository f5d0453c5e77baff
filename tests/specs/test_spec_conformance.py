"""The conformance report: each file of a folder ends in one outcome, with its reason."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "conformance.py"


@pytest.fixture(scope="module")
def conformance():
    sys.path.insert(0, str(TOOL.parent))
    yield importlib.import_module("conformance")
    sys.path.remove(str(TOOL.parent))


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
        "print('gaierror: Name or service not known' if 'https' in text else '', flush=True)\n"
        "sys.stderr.write('error: the command exited with 3\\n' if 'exit 3' in text else '')\n"
        "open(sys.argv[0] + '.ran', 'a').write('x')\n"
        "sys.exit(1 if 'exit 3' in text else 0)\n"
    )
    job = "environment: {image: python}\ncommand: "
    corpus = written(
        tmp_path / "corpus",
        {"good.yml": job + "echo 1\n", "bad.yml": job + "exit 3\n", "net.yml": job + "exit 3 # https\n",
         "own.yml": job + "cat ${{inputs.x}}\ninputs: {x: {type: uri_file, path: azureml:d@latest}}\n",
         "d.yml": "$schema: x/data.schema.json\nname: d\ntype: uri_file\npath: notes.txt\n", "notes.txt": "x",
         "far.yml": job + "cat ${{inputs.x}}\ninputs: {x: {type: uri_file, path: https://example.com/x}}\n"},
    )  # fmt: skip
    out = tmp_path / "out"
    words = [str(corpus), "--out", str(out), "--run", "--prepare", "--command", f"{sys.executable} {program}"]

    def found() -> dict[str, tuple[str, str]]:
        told = json.loads((out / "conformance.json").read_text())
        return {each["file"]: (each["run"], each["cause"]) for each in told if each["run"]}

    assert conformance.main(words) == 0
    assert found() == {
        "good.yml": ("completed", ""),
        "own.yml": ("completed", ""),
        "bad.yml": ("ended otherwise", "error: the command exited with 3"),
        "net.yml": ("lacking", "the internet (Name or service not known)"),
        "far.yml": ("skipped", "data at an address (https)"),
    }
    before, ran = found(), Path(f"{program}.ran")
    ran.unlink()
    assert conformance.main([*words, "--resume"]) == 0
    assert (found(), ran.read_text()) == (before, "xx")  # the data again, and what failed
    page = (out / "conformance.md").read_text()
    assert "3 of what can run here, 66.7 % completed." in page


SCRIPTS = {
    "good.sh": "show () {\n  echo $1\n}\naz ml job list | grep -q '\\[]'\n",
    "deep/bad.sh": "set -e\nNAME=$(az ml job show -n x)\necho not reached\n",
    "far.sh": "az ml job list\naz storage account list\nexit 0\n",
    "words.sh": "az ml job show -n $1\n",
    "filled.sh": "az account set --subscription <subscription>\naz ml job list\n",
    "other.sh": "echo no command of az\n",
}


def test_scripts_are_run_with_our_az_and_the_first_line_that_failed_is_told(conformance, tmp_path: Path) -> None:
    """The stand-in writes an `az` that knows one command; the scripts are run by bash as they are."""
    program = tmp_path / "program.sh"
    az = (
        "#!/bin/sh\n"
        'case "$*" in\n'
        "'ml job list') echo '[]' ;;\n"
        "'account set'*) ;;\n"
        "storage*) echo \"ERROR: This is not Azure: 'az storage'\" >&2; exit 1 ;;\n"
        "*) echo 'error: There is no job x' >&2; exit 3 ;;\n"
        "esac\n"
    )
    program.write_text(f"#!/bin/sh\nmkdir -p $3\ncat > $3/az <<'E'\n{az}E\nchmod +x $3/az\n")
    program.chmod(0o755)
    corpus, out = written(tmp_path / "corpus", SCRIPTS), tmp_path / "out"
    words = [str(corpus), "--out", str(out), "--scripts", "*.sh", "--command", str(program)]
    assert conformance.main([*words, "--fill", "subscription=s1"]) == 0
    found = {each["script"]: each for each in json.loads((out / "scripts.json").read_text())}
    assert {name: each["end"] for name, each in found.items()} == {
        "good.sh": "ended", "deep/bad.sh": "failed", "far.sh": "lacking", "words.sh": "skipped", "filled.sh": "ended",
    }  # fmt: skip
    bad, far = found["deep/bad.sh"], found["far.sh"]
    assert (bad["line"], bad["why"]) == ("bad.sh:2: NAME=$(az ml job show -n x)", "error: There is no job x")
    assert far["line"].startswith("far.sh:2: az storage") and far["why"].startswith(
        "Azure (This is not Azure: 'az storage'"
    )
    assert found["filled.sh"]["filled"] == ["subscription"]
    assert (corpus / "filled.sh").read_text() == SCRIPTS["filled.sh"] and "| `deep/bad.sh` | failed |" in (
        out / "scripts.md"
    ).read_text()
    assert conformance.main([*words, "--words", "x", "--resume", "--keep", "none"]) == 0
    again = {each["script"]: each["end"] for each in json.loads((out / "scripts.json").read_text())}
    assert again["words.sh"] == "failed" and again["deep/bad.sh"] == "failed"
