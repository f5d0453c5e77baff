"""Conda files and requirements files mean here what they mean to conda and pip."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from doubleloop.base import errors
from doubleloop.environments import conda

VERSIONS = [
    "0.9",
    "1.1.9",
    "1.2",
    "1.2.0",
    "1.2.1",
    "1.2.2.post1",
    "1.2.10",
    "1.3",
    "1.4.4",
    "1.20",
    "2.0",
    "4.5.5",
    "4.5.5.64",
]

# Which of VERSIONS match, as told by rattler's MatchSpec (py-rattler 0.28.0), the solver library of the conda project.
RATTLER = {
    "p": "0.9 1.1.9 1.2 1.2.0 1.2.1 1.2.2.post1 1.2.10 1.3 1.4.4 1.20 2.0 4.5.5 4.5.5.64",
    "p=1.2": "1.2 1.2.0 1.2.1 1.2.2.post1 1.2.10",
    "p==1.2": "1.2 1.2.0",
    "p 1.2": "1.2 1.2.0",
    "p=1.2=py38_0": "1.2 1.2.0",
    "p=1.2.*": "1.2 1.2.0 1.2.1 1.2.2.post1 1.2.10",
    "p 1.2.*": "1.2 1.2.0 1.2.1 1.2.2.post1 1.2.10",
    "p 1.2*": "1.2 1.2.0 1.2.1 1.2.2.post1 1.2.10",
    "p=1.2*": "1.2 1.2.0 1.2.1 1.2.2.post1 1.2.10",
    "p>=1.2": "1.2 1.2.0 1.2.1 1.2.2.post1 1.2.10 1.3 1.4.4 1.20 2.0 4.5.5 4.5.5.64",
    "p >=1.2,<1.3": "1.2 1.2.0 1.2.1 1.2.2.post1 1.2.10",
    "p >= 1.2, < 1.3": "1.2 1.2.0 1.2.1 1.2.2.post1 1.2.10",
    "p!=1.2": "0.9 1.1.9 1.2.1 1.2.2.post1 1.2.10 1.3 1.4.4 1.20 2.0 4.5.5 4.5.5.64",
    "p~=1.2": "1.2 1.2.0 1.2.1 1.2.2.post1 1.2.10 1.3 1.4.4 1.20",
    "p~=1.2.1": "1.2.1 1.2.2.post1 1.2.10",
    "p=4.5.5": "4.5.5 4.5.5.64",
    "p=1": "1.1.9 1.2 1.2.0 1.2.1 1.2.2.post1 1.2.10 1.3 1.4.4 1.20",
    "p[version='>=1.2,<2']": "1.2 1.2.0 1.2.1 1.2.2.post1 1.2.10 1.3 1.4.4 1.20",
    "p[version='1.2', build=py38_0]": "1.2 1.2.0",
    "conda-forge::p=1.2": "1.2 1.2.0 1.2.1 1.2.2.post1 1.2.10",
    "p<1.2": "0.9 1.1.9",
    "p<=1.2.1": "0.9 1.1.9 1.2 1.2.0 1.2.1",
    "p>1.2,!=1.3": "1.2.1 1.2.2.post1 1.2.10 1.4.4 1.20 2.0 4.5.5 4.5.5.64",
}


@pytest.mark.parametrize("pin", RATTLER)
def test_a_conda_pin_allows_the_versions_that_conda_would(pin: str) -> None:
    (found,) = conda.parse(f'dependencies:\n- "{pin}"\n', "c.yml").requirements
    assert found.text.startswith("p")
    allowed = [version for version in VERSIONS if SpecifierSet(found.text[1:]).contains(version)]
    assert allowed == RATTLER[pin].split()


@pytest.mark.parametrize(
    ("written", "python"),
    [
        ("python=3.11", "3.11"),
        ("python==3.11", "3.11"),
        ("python 3.11", "3.11"),
        ("python=3.11.*", "3.11"),
        ("python=3.8.5", "3.8.5"),
        ("python=3.7.9=h60c2a47_0", "3.7.9"),
        ("python>=3.8,<3.11", ">=3.8,<3.11"),
        ("python", ""),
        ("python=3", ">=3,<4"),
        ("conda-forge::python=3.10", "3.10"),
    ],
)
def test_the_python_version_is_read(written: str, python: str) -> None:
    assert conda.parse(f"dependencies:\n- {written}\n", "c.yml").python == python


TAXI = """\
channels:
  - defaults
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - pip=25.0
  - pip:
      - mlflow==2.9.2   # pinned
      - 'inference-schema[numpy-support]==1.3.0'

      - git+https://github.com/microsoft/AzureML-Observability#subdirectory=aml-obs-client
  - pytorch=1.10.0
  - cudatoolkit=11.1.1
  - gxx_linux-64=8.5.0
name: taxi
"""


def test_a_whole_file_keeps_lines_channels_and_says_what_it_left_out() -> None:
    spec = conda.parse(TAXI, "env/conda.yml")
    assert (spec.name, spec.python, spec.channels) == ("taxi", "3.11", ("defaults", "conda-forge"))
    assert str(spec.python_where) == "env/conda.yml:5"
    assert [(each.text, each.line) for each in spec.requirements] == [
        ("mlflow==2.9.2", 9),
        ("inference-schema[numpy-support]==1.3.0", 10),
        ("git+https://github.com/microsoft/AzureML-Observability#subdirectory=aml-obs-client", 12),
        ("torch==1.10.0.*", 13),
    ]
    assert [each.name for each in spec.requirements] == ["mlflow", "inference-schema", "", "torch"]
    assert [notice.split(":")[1] for notice in spec.notices] == ["7", "13", "14", "15"]


def test_what_conda_files_of_the_wild_hold_can_be_read() -> None:
    text = (
        "dependencies:\n- python=3.8\n- pip:\n  - -r requirements.txt\n  - --extra-index-url=https://a.example/simple\n"
    )
    files = {"requirements.txt": "six\n-c limits.txt\n--pre\n", "limits.txt": "six<2\n"}
    spec = conda.parse(text, "env/c.yml", files.__getitem__)
    assert [(each.text, str(each.where)) for each in spec.requirements] == [("six", "env/requirements.txt:1")]
    assert [(each.text, str(each.where)) for each in spec.constraints] == [("six<2", "env/limits.txt:1")]
    assert [each.text for each in spec.options] == ["--extra-index-url https://a.example/simple"]
    assert spec.prereleases


def test_requirements_files_may_go_on_over_lines_and_hold_comments_and_hashes() -> None:
    text = (
        "# a comment\n\nsix \\\n  ==1.16.0 \\\n  --hash=sha256:ab \\\n  --hash=sha256:cd\n"
        "tomli>=1 ; python_version < '3.11'  # why\nrequests[socks]==2.31.0#egg\n"
    )
    spec = conda.requirements(text, "requirements.txt")
    assert [(" ".join(each.text.split()), each.line) for each in spec.requirements] == [
        ("six ==1.16.0", 3),
        ("tomli>=1 ; python_version < '3.11'", 7),
        ("requests[socks]==2.31.0#egg", 8),
    ]


def test_included_files_count_from_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "reqs").mkdir()
    (tmp_path / "reqs" / "all.txt").write_text("-r base.txt\nsix\n")
    (tmp_path / "reqs" / "base.txt").write_text("-r ../top.txt\n")
    (tmp_path / "top.txt").write_text("tomli\n")
    spec = conda.parse("dependencies: [{pip: [-r reqs/all.txt]}]", "env/c.yml", conda.beside(tmp_path))
    assert [str(each.where) + " " + each.text for each in spec.requirements] == [
        "env/top.txt:1 tomli",
        "env/reqs/all.txt:2 six",
    ]


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside.txt", "link.txt"])
def test_files_outside_of_the_project_are_not_read(path: str, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "outside.txt").write_text("secret\n")
    (tmp_path / "project" / "link.txt").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(errors.InvalidInput, match="lies outside"):
        conda.parse(f"dependencies: [{{pip: [-r {path}]}}]", "c.yml", conda.beside(tmp_path / "project"))


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("dependancies:\n- python\n", 1, "Did you mean 'dependencies'"),
        ("name: x\ndependencies: python\n", 2, "'dependencies' must be a list"),
        ("dependencies:\n- six\n- pipp:\n  - six\n", 3, "'pipp' cannot be a section"),
        ("dependencies:\n- pip: six\n", 2, "'pip' must be a list"),
        ("dependencies:\n- six\n- numpy=1.2|1.3\n", 3, "no 'or' between versions"),
        ("dependencies:\n- six\n- numpy=latest\n", 3, "'=latest' is not a version"),
        ("dependencies:\n- six\n- '=1.2'\n", 3, "is not a conda package"),
        ("dependencies:\n- pip:\n  - six\n  - -r absent.txt\n", 4, "cannot be read"),
        ("dependencies:\n- pip:\n  - --frobnicate\n", 3, "unknown option '--frobnicate'"),
        ("dependencies:\n- pip:\n  - --find-links ./wheels\n", 3, "must be an http"),
        ("dependencies:\n- pip:\n  - --index-url https://${TOKEN}@a.example/\n", 3, "no secret"),
        ("dependencies:\n- pip:\n  - -r loop.txt\n", 0, "includes itself"),
        ("dependencies:\n- pip:\n  - six\n  - six=1.16\n", 4, "pip wants two equals signs: six==1.16"),
        ("dependencies:\n- pip:\n  - six 1.16\n", 3, "'six 1.16' is not a pip requirement"),
        ("dependencies:\n- pip:\n  - numpy>=1.9.*\n", 3, "can only be used with"),
        ("dependencies: [a\n", 2, "not YAML"),
        ("- six\n", 1, "is a mapping"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(text: str, line: int, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "loop.txt").write_text("-r loop.txt\n")
    with pytest.raises(errors.InvalidInput) as caught:
        conda.parse(text, "c.yml", conda.beside(tmp_path))
    assert complaint in str(caught.value)
    assert caught.value.where is not None and caught.value.where.line == line


def test_without_the_files_beside_it_an_include_says_what_to_do() -> None:
    with pytest.raises(errors.InvalidInput, match="Write its lines into the conda file"):
        conda.parse("dependencies: [{pip: [-r more.txt]}]", "c.yml")


def test_files_that_came_with_the_conda_file_are_read_and_no_others() -> None:
    read = conda.carried({"../r.txt": "-r base/b.txt\n", "../base/b.txt": "six==1.16.0\n"})
    spec = conda.parse("dependencies: [{pip: [-r ../r.txt]}]", "env/c.yml", read)
    assert [(each.text, str(each.where)) for each in spec.requirements] == [("six==1.16.0", "base/b.txt:1")]
    with pytest.raises(errors.InvalidInput, match="did not come with the conda file"):
        conda.parse("dependencies: [{pip: [-r /etc/passwd]}]", "c.yml", read)


def test_a_password_in_an_index_address_is_warned_about() -> None:
    spec = conda.requirements("--extra-index-url https://user:pass@a.example/simple\n", "r.txt")
    assert "password" in spec.notices[0] and "pass@" not in spec.notices[0]


@pytest.mark.parametrize("text", ["", "name: x\n", "dependencies:\n", "dependencies: []\n", "dependencies:\n- pip:\n"])
def test_a_file_that_asks_for_nothing_is_plain_python(text: str) -> None:
    spec = conda.parse(text, "c.yml")
    assert (spec.python, spec.requirements) == ("", ())
