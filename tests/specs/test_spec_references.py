"""Each way to point at something is told apart, and written back as it was."""

from __future__ import annotations

import pytest

from doubleloop.base import errors
from doubleloop.specs import references as r

HEX = "ab" * 32
ARM = "azureml:/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("azureml:taxi-data:3", r.Asset("taxi-data", "3")),
        ("azureml:taxi-data@latest", r.Asset("taxi-data", label="latest")),
        ("azureml:cpu-cluster", r.Asset("cpu-cluster")),
        ("azureml:AzureML-sklearn-1.5@latest", r.Asset("AzureML-sklearn-1.5", label="latest")),
        ("azureml:c:1.0.0", r.Asset("c", "1.0.0")),
        ("azureml://datastores/store/paths/a/b.csv", r.DatastorePath("store", "a/b.csv")),
        ("azureml://datastores/store/paths/", r.DatastorePath("store", "")),
        ("azureml://datastores/store", r.DatastorePath("store")),
        (
            "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/store/paths/p",
            r.DatastorePath("store", "p"),
        ),
        (
            "azureml://registries/azureml/environments/sklearn-1.5/labels/latest",
            r.RegistryAsset("azureml", "environments", "sklearn-1.5", label="latest"),
        ),
        (
            "azureml://registries/shared/models/taxi/versions/4",
            r.RegistryAsset("shared", "models", "taxi", "4"),
        ),
        ("azureml://jobs/job-1/outputs/model", r.JobOutput("job-1", "model")),
        ("azureml://jobs/job-1/outputs/artifacts/paths/model/", r.JobOutput("job-1", "artifacts", "model/")),
        (f"{ARM}/models/taxi/versions/2", r.Asset("taxi", "2", kind="models")),
        (f"{ARM}/environments/e/labels/prod", r.Asset("e", label="prod", kind="environments")),
        (f"blob:sha256:{HEX}", r.Blob(HEX)),
        (f"tree:sha256:{HEX}", r.Tree(HEX)),
        (f"tree:sha256:{HEX}/sub/file.csv", r.Tree(HEX, "sub/file.csv")),
        ("runs:/abc123/model", r.RunArtifact("abc123", "model")),
        ("https://example.com/iris.csv", r.Url("https://example.com/iris.csv")),
        ("wasbs://c@a.blob.core.windows.net/x", r.Url("wasbs://c@a.blob.core.windows.net/x")),
        ("s3://bucket/key", r.Url("s3://bucket/key")),
        ("git+https://github.com/org/repo", r.Url("git+https://github.com/org/repo")),
        ("file:///data/x%20y.csv", r.Local("/data/x y.csv")),
        ("file:./train.yml", r.Local("./train.yml")),
        ("../data/x.csv", r.Local("../data/x.csv")),
        ("data", r.Local("data")),
    ],
)
def test_a_reference_is_told_by_its_form(text: str, meant: object) -> None:
    assert r.parse(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "azureml:taxi-data:3",
        "azureml:taxi-data@latest",
        "azureml://registries/azureml/environments/sklearn-1.5/labels/latest",
        "azureml://jobs/j/outputs/o/paths/p/q",
        "azureml://datastores/s/paths/p",
        f"tree:sha256:{HEX}/a",
        "runs:/r/m",
    ],
)
def test_a_reference_is_written_back_as_it_was(text: str) -> None:
    assert str(r.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "azureml:", "azureml:a:b:c", "azureml:a@b@c", "azureml://", "azureml://nothing/here", "azureml:a:",
        "azureml://datastores/", "blob:sha256:xyz", f"blob:sha256:{HEX}/inside", f"tree:sha256:{HEX}/../etc",
        f"tree:sha256:{HEX.upper()}", "azureml://registries/r/models", "azureml: a",
    ],
)  # fmt: skip
def test_a_malformed_reference_is_an_error_with_a_cure(text: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        r.parse(text, errors.Where("f.yml", 3, "path"))
    assert caught.value.where == errors.Where("f.yml", 3, "path")
    assert caught.value.cure


def test_only_paths_of_this_machine_are_local() -> None:
    assert r.is_local("../x") and r.is_local("file:./x") and r.is_local("/abs")
    for text in ("azureml:x:1", "https://x", "runs:/a/b", f"blob:sha256:{HEX}", "${{parent.inputs.x}}", "./${{name}}"):
        assert not r.is_local(text)


def test_compute_names_may_carry_the_prefix() -> None:
    assert r.compute_name("azureml:cpu") == r.compute_name("cpu") == "cpu"
