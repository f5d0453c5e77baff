"""The pip and conda lines of a Dockerfile are what is installed; nothing of it is run."""

from __future__ import annotations

import errno

import pytest

from doubleloop.base import errors
from doubleloop.environments import dockerfile, model

FILES = {
    "requirements.txt": "pandas==2.2.3\nscipy>=1.10\n",
    "conda.yml": "channels: [conda-forge]\ndependencies:\n  - python=3.10\n  - numpy=1.26\n  - pip: [joblib==1.4.2]\n",
}


def read(path: str) -> str:
    if path not in FILES:
        raise FileNotFoundError(errno.ENOENT, "no such file", path)
    return FILES[path]


def parse(text: str) -> model.CondaSpec:
    return dockerfile.parse(text, "Dockerfile", read)


def lines(spec: model.CondaSpec) -> list[str]:
    return [each.text for each in spec.requirements]


def test_pip_lines_become_requirements_with_their_lines() -> None:
    spec = parse(
        "# a comment\nFROM python:3.11-slim AS base\nWORKDIR /app\n"
        "RUN pip install --no-cache-dir 'scikit-learn==1.5.2' \\\n    mlflow>=2 && \\\n    apt-get update\n"
    )
    assert spec.python == "3.11" and lines(spec)[0] == "scikit-learn==1.5.2"
    assert (spec.requirements[0].file, spec.requirements[0].line) == ("Dockerfile", 4)
    assert any("apt-get update" in notice for notice in spec.notices)


@pytest.mark.parametrize(
    "line",
    [
        "pip install -r requirements.txt", "pip3 install -U -r /tmp/requirements.txt --no-cache-dir",
        "python -m pip install --requirement ./requirements.txt", "/opt/venv/bin/pip install -r requirements.txt -t /x",
    ],
)  # fmt: skip
def test_requirements_files_of_the_folder_are_read(line: str) -> None:
    spec = parse(f"FROM python:3.10\nCOPY requirements.txt /tmp/requirements.txt\nRUN {line}\n")
    assert lines(spec) == ["pandas==2.2.3", "scipy>=1.10"]
    assert spec.requirements[1].file.endswith("requirements.txt") and spec.requirements[1].line == 2


def test_conda_lines_are_read_as_a_conda_file_is() -> None:
    spec = parse("FROM continuumio/miniconda3\nRUN conda install -y -c a python=3.9 numpy=1.24.1 && conda clean -a\n")
    assert spec.python == "3.9" and lines(spec) == ["numpy==1.24.1.*"]
    created = parse("FROM continuumio/miniconda3\nCOPY conda.yml .\nRUN conda env create -n e -f conda.yml\n")
    assert created.python == "3.10" and lines(created) == ["numpy==1.26.*", "joblib==1.4.2"]


def test_the_last_from_counts_and_curated_images_bring_what_they_hold() -> None:
    spec = parse("FROM python:3.8\nRUN pip install a==1\nFROM python:3.12\nRUN pip install b==2\n")
    assert spec.python == "3.12" and lines(spec) == ["b==2"]


def test_what_cannot_be_read_is_told_with_file_and_line() -> None:
    with pytest.raises(errors.InvalidInput) as missing:
        parse("FROM python:3.11\n\nRUN pip install -r nothing.txt\n")
    assert missing.value.where == errors.Where("Dockerfile", 3) and "nothing.txt" in missing.value.what
    with pytest.raises(errors.InvalidInput) as nameless:
        parse("FROM\n")
    assert nameless.value.where == errors.Where("Dockerfile", 1)
