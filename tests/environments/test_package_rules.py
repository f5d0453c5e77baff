"""What may be installed: substitutions, refused sources, the choice of a Python, names of curated environments."""

from __future__ import annotations

from pathlib import Path

import pytest

from doubleloop.base import errors
from doubleloop.environments import conda, curated, model, rules

GIT = "git+https://github.com/microsoft/AzureML-Observability#subdirectory=aml-obs-client"


def spec(*lines: str) -> model.CondaSpec:
    return conda.requirements("".join(f"{line}\n" for line in lines), "conda.yml")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (GIT, "a git repository"),
        ("obs @ git+https://github.com/x/y@main", "a git repository"),
        ("obs[a,b]@git+ssh://git@github.com/x/y", "a git repository"),
        ("git@github.com:x/y.git", "a git repository"),
        ("hg+https://hg.example/x", "a hg repository"),
        ("svn+https://svn.example/x", "a svn repository"),
        ("https://files.example/x-1.0-py3-none-any.whl", "a direct address"),
        ("x @ https://files.example/x-1.0.tar.gz", "a direct address"),
        ("x @ file:///srv/x", "a direct address"),
        ("file:///srv/x", "a direct address"),
        ("./libs/x", "a local path"),
        ("../x", "a local path"),
        ("/srv/x", "a local path"),
        (".", "a local path"),
        (".[dev]", "a local path"),
        ("dist/x-1.0-py3-none-any.whl", "a local path"),
        ("-e .", "an editable install"),
        ("--editable ./x", "an editable install"),
    ],
)
def test_a_source_that_is_no_package_index_is_refused_with_line_and_cure(line: str, kind: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        rules.prepare(spec("six", line))
    assert kind in caught.value.what
    assert str(caught.value.where) == "conda.yml:2"
    assert "package_substitutions" in caught.value.cure and "action: drop" in caught.value.cure


@pytest.mark.parametrize(
    "line",
    ["six", "six==1.16.0", "zope.interface", "requests[socks]>=2", "a-b_c.d ~= 1.0 ; python_version<'3.9'", "gitpython",
     "filelock", "torch==2.0.0+cpu", "httpx", "git-url-parse", "Pillow"],
)  # fmt: skip
def test_packages_of_the_index_pass(line: str) -> None:
    rules.check_source(model.Requirement(line))


def test_credentials_in_an_address_are_not_repeated() -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        rules.prepare(spec("git+https://me:s3cret@github.com/x/y"))
    assert "s3cret" not in str(caught.value) and "***" in str(caught.value)


def test_substitutions_drop_and_replace_and_say_so() -> None:
    substitutes = rules.substitutions(
        [
            {"match": "git+https://github.com/microsoft/AzureML-Observability*collector", "action": "drop"},
            {
                "match": "git+https://github.com/microsoft/*",
                "action": "replace",
                "with": "six==1.16.0",
                "reason": "as good",
            },
        ]
    )
    done = rules.prepare(spec("tomli", GIT, GIT.replace("client", "collector")), substitutes)
    assert [(each.text, each.line) for each in done.requirements] == [("tomli", 1), ("six==1.16.0", 2)]
    assert (
        "conda.yml:2" in done.notices[0]
        and "replaced by 'six==1.16.0'" in done.notices[0]
        and "as good" in done.notices[0]
    )
    assert "conda.yml:3" in done.notices[1] and "dropped" in done.notices[1]


def test_a_replacement_is_checked_like_anything_else() -> None:
    substitutes = rules.substitutions([{"match": "six", "action": "replace", "with": "git+https://a.example/six"}])
    with pytest.raises(errors.InvalidInput, match="git repository"):
        rules.prepare(spec("six"), substitutes)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("six*", "six==1.16.0", True),
        ("SIX*", "six==1.16.0", True),
        ("six", "six==1.16.0", False),
        ("inference-schema[numpy-support]*", "inference-schema[numpy-support]==1.3.0", True),
        ("inference-schema[numpy-support]*", "inference-scheman==1.3.0", False),
        ("s?x", "six", True),
        ("s?x", "siix", False),
        ("*", "anything at all", True),
        ("a.c", "abc", False),
    ],
)
def test_patterns_know_star_and_question_mark_only(pattern: str, text: str, fits: bool) -> None:
    assert rules.matches(pattern, text) is fits


@pytest.mark.parametrize(
    "entry",
    [
        {"action": "drop"},
        {"match": "x", "action": "remove"},
        {"match": "x", "action": "replace"},
        {"match": "x", "action": "drop", "with": "y"},
        {"match": "x", "action": "drop", "because": "y"},
        {"match": "x"},
    ],
)
def test_a_substitution_that_cannot_be_right_is_named(entry: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidInput, match=r"package_substitutions\[1\]"):
        rules.substitutions([{"match": "a", "action": "drop"}, entry])


PRESENT = [model.Interpreter(version, Path(f"/p/{version}")) for version in ("3.12.1", "3.11.7", "3.11.2", "3.8.18")]


@pytest.mark.parametrize(
    ("wanted", "version"),
    [
        ("3.11", "3.11.7"),
        ("3.11.2", "3.11.2"),
        ("3.8.5", "3.8.18"),
        (">=3.8", "3.12.1"),
        (">=3.8,<3.12", "3.11.7"),
        (">3.11", "3.12.1"),
        ("<=3.11", "3.11.7"),
        ("!=3.12.*", "3.11.7"),
        ("~=3.8", "3.12.1"),
        ("~=3.11.3", "3.11.7"),
        ("", "3.11.7"),
    ],
)
def test_the_newest_python_that_fits_is_chosen(wanted: str, version: str) -> None:
    assert rules.choose_python(wanted, PRESENT).version == version


@pytest.mark.parametrize("wanted", ["3.10", ">=3.13", "<3.8"])
def test_a_python_that_is_not_there_names_those_that_are(wanted: str) -> None:
    where = errors.Where("conda.yml", 3)
    with pytest.raises(errors.Unavailable, match=r"conda.yml:3: .*present: 3.8, 3.11, 3.12"):
        rules.choose_python(wanted, PRESENT, where)


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("azureml://registries/azureml/environments/sklearn-1.5/labels/latest", "sklearn-1.5"),
        ("azureml://registries/azureml/environments/sklearn-1.5/versions/12", "sklearn-1.5"),
        ("azureml:AzureML-sklearn-1.5@latest", "sklearn-1.5"),
        ("azureml:AzureML-lightgbm-3.3@latest", "lightgbm-3.3"),
        ("azureml:AzureML-acpt-pytorch-2.8-cuda12.6:1", "acpt-pytorch-2.8-cuda12.6"),
        ("AzureML-sklearn-1.0-ubuntu20.04-py38-cpu", "sklearn-1.0"),
        ("azureml:AzureML-sklearn-1.0-ubuntu20.04-py38-cpu:44", "sklearn-1.0"),
        ("azureml:my-env:1", None),
        ("azureml:sklearn-1.5:1", None),
        ("azureml://registries/other/environments/sklearn-1.5/labels/latest", None),
        ("azureml://registries/azureml/environments/model-evaluation/versions/6", None),
    ],
)
def test_curated_environments_are_found_by_every_name_they_go_by(reference: str, name: str | None) -> None:
    found = curated.find(reference)
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("image", "python", "requirements", "known"),
    [
        ("python", "", 0, True),
        ("library/python:latest", "", 0, True),
        ("docker.io/python", "", 0, True),
        ("docker.io/library/python:3.12-slim", "3.12", 0, True),
        ("library/python:3.11.6", "3.11.6", 0, True),
        ("python:3.9-slim-bullseye@sha256:abcd", "3.9", 0, True),
        ("mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04", "", 0, True),
        ("mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:latest", "", 0, True),
        ("mcr.microsoft.com/azureml/minimal-py312-inference:latest", "3.12", 2, True),
        ("mcr.microsoft.com/azureml/curated/sklearn-1.5:3", "3.10", 14, True),
        ("mcr.microsoft.com/azureml/curated/tensorflow-2.12-cuda11:latest", "3.11", 10, False),
        ("pytorch/pytorch:latest", "", 0, False),
    ],
)
def test_an_image_stands_for_its_python(image: str, python: str, requirements: int, known: bool) -> None:
    found = curated.from_image(image)
    assert (found.python, len(found.requirements), not found.notices) == (python, requirements, known)


def test_every_curated_requirement_comes_from_the_index() -> None:
    for name in curated.names():
        found = curated.CATALOGUE[name].spec
        assert found.python
        rules.prepare(found)
