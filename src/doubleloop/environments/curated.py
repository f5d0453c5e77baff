"""Environments that Azure ML ships, by the names that people's files use, and what container images stand for; and
those that the catalog of training components runs in.

The package lists follow the definitions in Azure/azureml-assets (``assets/training/general/environments``), reduced to
what training and scoring scripts import: profilers and Azure's own telemetry are left out, CUDA builds become the
plain ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from doubleloop.environments import model

# MLflow 3 saves scikit-learn models with skops, which these environments do not have and which refuses tree models.
_AZURE = ("azureml-mlflow", "azureml-core", "mlflow-skinny>=2.16,<3")
_TOOLS = ("ipykernel~=6.0", "matplotlib~=3.5", "psutil", "tensorboard", "tqdm~=4.66")
_SKLEARN = ("numpy~=1.22", "scipy~=1.10", "joblib~=1.2", "azureml-inference-server-http", *_AZURE, *_TOOLS)

REGISTRIES = ("azureml://registries/azureml/", "azureml://registries/doubleloop/")

_REFERENCE = re.compile(
    r"^(?:azureml:)?(?://registries/(?P<registry>azureml|doubleloop)/environments/|AzureML-)?(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*?)"
    r"(?:/(?:versions|labels)/[^/]+|[@:][^/]+)?$"
)
_IMAGE = re.compile(r"^(?:(?P<host>[^/]+\.[^/]+|localhost)/)?(?P<path>[^:@]+)(?::(?P<tag>[^@]+))?(?:@.+)?$")


@dataclass(frozen=True)
class Curated:
    """A catalogue entry. ``requirements`` is pip syntax."""

    name: str
    python: str
    requirements: tuple[str, ...]
    registry: str = "azureml"

    @property
    def spec(self) -> model.CondaSpec:
        file = f"{self.registry}/environments/{self.name}"
        lines = (model.Requirement(text, number, file) for number, text in enumerate(self.requirements, 1))
        return model.CondaSpec(self.python, tuple(lines), name=self.name)


# What the components of ``recipes`` run in, and the models that they make; no more than each family needs. pytest is
# there for a release's unit tests, which run where the candidate was trained: without it they need an environment more.
_ALL = ("pandas~=3.1.0", "numpy~=2.4.0", "pyarrow", "mlflow-skinny==3.17.2", "pytest~=9.0")
_TABLES = ("scikit-learn~=1.9.0", "scipy~=1.17.0", *_ALL)
_OF_TEXTS = ("python-crfsuite~=0.9.12", "seqeval~=1.2.2", "sacrebleu~=2.6.0", "rouge-score~=0.1.2")
RECIPES = (
    Curated("recipes-classical", "3.11", (*_TABLES, "statsmodels~=0.15.0"), "doubleloop"),
    Curated("recipes-lstm", "3.11", ("torch==2.13.0", "scipy~=1.17.0", *_ALL), "doubleloop"),
    Curated("recipes-language", "3.11", (*_TABLES, *_OF_TEXTS), "doubleloop"),
    Curated(
        "recipes-language-torch",
        "3.11",
        ("torch==2.13.0", "transformers~=5.24.0", *_TABLES, *_OF_TEXTS),
        "doubleloop",
    ),
    Curated("recipes-vision", "3.11", ("torch==2.13.0", "transformers~=5.24.0", "pillow~=12.0", *_ALL), "doubleloop"),
)

CATALOGUE = {
    entry.name: entry
    for entry in (
        *RECIPES,
        Curated("sklearn-1.5", "3.10", ("scikit-learn~=1.5.0", "pandas~=1.5.3", *_SKLEARN)),
        Curated("sklearn-1.1", "3.9", ("scikit-learn~=1.1.0", "pandas~=1.3.0", *_SKLEARN)),
        Curated("sklearn-1.0", "3.8", ("scikit-learn~=1.0.0", "pandas~=1.1", *_SKLEARN)),
        Curated(
            "lightgbm-3.3", "3.10",
            ("lightgbm>=4.6.0", "xgboost~=1.7.6", "scikit-learn~=1.5.1", "pandas~=1.5.3", "numpy~=1.22",
             "scipy~=1.10", *_AZURE, *_TOOLS),
        ),
        Curated("tensorflow-2.16-cuda12", "3.11", ("tensorflow==2.16.2", "pandas", *_AZURE, *_TOOLS)),
        Curated("acpt-pytorch-2.8-cuda12.6", "3.10", ("torch~=2.8.0", "torchvision", *_AZURE, *_TOOLS)),
        Curated("python-sdk-v2", "3.10", ("azure-ai-ml", "azure-identity", *_AZURE)),
        # What the trials of AutoML jobs run in, and the models that they make.
        Curated(
            "AutoML", "3.11",
            ("scikit-learn~=1.9.0", "pandas~=3.1.0", "numpy~=2.4.0", "scipy~=1.17.0", "lightgbm~=4.7.0",
             "xgboost-cpu~=3.2.0", "statsmodels~=0.15.0", "holidays~=0.109", "mlflow-skinny==3.17.2", "pyarrow"),
        ),
        # What Spark jobs run in that name no environment; Java comes from the machine.
        Curated("spark-3.5", "3.10", ("pyspark~=3.5.0", "numpy~=1.22", "pandas~=1.5.3", "pyarrow", *_AZURE)),
    )
}  # fmt: skip

_INFERENCE = ("azureml-inference-server-http", "inference-schema")
_SERIES = {"sklearn": "sklearn-1.5", "lightgbm": "lightgbm-3.3", "tensorflow": "tensorflow-2.16-cuda12",
           "acpt-pytorch": "acpt-pytorch-2.8-cuda12.6", "pytorch": "acpt-pytorch-2.8-cuda12.6"}  # fmt: skip


def find(reference: str) -> model.CondaSpec | None:
    """The curated environment that a reference names, or None.

    Understands ``azureml://registries/azureml/environments/NAME/labels/latest`` (or ``/versions/N``), the old
    ``azureml:AzureML-NAME@latest`` and its long forms (``AzureML-sklearn-1.0-ubuntu20.04-py38-cpu``), and the registry
    ``doubleloop`` for those of the catalog of training components.
    """
    if reference.startswith("azureml://") and not reference.startswith(REGISTRIES):
        return None
    match = _REFERENCE.match(reference)
    if not match or not (match["registry"] or "AzureML-" in reference):
        return None
    name = re.sub(r"-ubuntu[\d.]+|-py\d+|-cpu$|-gpu$", "", match["name"].removeprefix("AzureML-"))
    entry = CATALOGUE.get(name)
    return entry.spec if entry and entry.registry == (match["registry"] or "azureml") else None


def names() -> tuple[str, ...]:
    return tuple(sorted(CATALOGUE))


def from_image(image: str) -> model.CondaSpec:
    """What a container image stands for here: its Python version and, for Azure's own images, what they carry.

    ``python``, ``library/python:latest`` and ``docker.io/python:3.11-slim`` are plain Python. Nothing is pulled; an
    image that is not known is plain Python too, with a notice.
    """
    match = _IMAGE.match(image.strip())
    path, tag = (match["path"], match["tag"] or "") if match else (image, "")
    plain = model.CondaSpec(name=image)
    if path.removeprefix("library/") == "python":
        return replace(plain, python=_python_of(tag))
    if path.startswith("azureml/curated/"):
        return _curated_image(path.removeprefix("azureml/curated/"), plain)
    if path.startswith("azureml/minimal-") and path.endswith("-inference"):
        return _minimal_image(path, plain)
    if path.startswith("azureml/openmpi"):
        return plain  # an operating system and MPI; the conda file brings the Python
    return replace(plain, notices=(f"image '{image}' is not run here; it is taken as Python {model.DEFAULT_PYTHON}",))


def _python_of(tag: str) -> str:
    match = re.match(r"^(3\.\d+(?:\.\d+)?)(?:-|$)", tag)
    return match[1] if match else ""


def _curated_image(name: str, plain: model.CondaSpec) -> model.CondaSpec:
    entry = CATALOGUE.get(name)
    if entry:
        return entry.spec
    series = next((series for series in _SERIES if name.startswith(series + "-")), None)
    if series is None:
        return replace(plain, notices=(f"image '{plain.name}' is not run here; it is taken as plain Python",))
    nearest = CATALOGUE[_SERIES[series]].spec
    return replace(nearest, notices=(f"image '{plain.name}' is not known here; '{nearest.name}' stands for it",))


def _minimal_image(path: str, plain: model.CondaSpec) -> model.CondaSpec:
    match = re.search(r"-py3(\d+)-", path)
    lines = tuple(model.Requirement(text, number, plain.name) for number, text in enumerate(_INFERENCE, 1))
    return replace(plain, python=f"3.{match[1]}" if match else "", requirements=lines)
