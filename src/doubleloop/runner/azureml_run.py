"""``azureml.core.Run`` for scripts that were written with Azure ML's first SDK: what they log reaches the MLflow run.

Laid into the overlay of every run, and loaded with Python there, so it does nothing before a script imports
``azureml.core``. With Azure's package its ``Run.get_context`` answers with the run below, in place of the one that only
prints; without it, the module holds that ``Run`` alone. Standard library only, Python 3.7 and newer.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from typing import Any

REAL = "azureml.core.run"
PACKAGES = ("azureml", "azureml.core")


def install() -> None:
    sys.meta_path.insert(0, _First())
    sys.meta_path.append(_Last())


class Workspace:
    def __init__(self) -> None:
        self.name = os.environ.get("DOUBLELOOP_WORKSPACE", "")

    def get_mlflow_tracking_uri(self) -> str:
        return os.environ.get("MLFLOW_TRACKING_URI", "")

    def __getattr__(self, name: str) -> Any:
        raise _missing("Workspace", name)


class Experiment:
    def __init__(self) -> None:
        self.name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "")
        self.id = os.environ.get("MLFLOW_EXPERIMENT_ID", "")
        self.workspace = Workspace()

    def __getattr__(self, name: str) -> Any:
        raise _missing("Experiment", name)


class Run:
    """The step that runs. ``id`` is its MLflow run's."""

    def __init__(self) -> None:
        self.id = os.environ.get("MLFLOW_RUN_ID", "")
        self.name = os.environ.get("DOUBLELOOP_STEP", "")
        self.experiment = Experiment()
        self.parent = None

    @classmethod
    def get_context(cls, allow_offline: bool = True, used_for_context_manager: bool = False, **arguments: Any) -> Run:
        return cls()

    def log(self, name: str, value: Any, description: str = "", step: Any = None) -> None:
        if isinstance(value, (str, bytes)):
            _mlflow().log_param(name, value)
        else:
            _mlflow().log_metric(name, float(value), step=step)

    def log_list(self, name: str, value: list[Any], description: str = "") -> None:
        for step, each in enumerate(value):
            self.log(name, each, step=step)

    def log_row(self, name: str, description: str = "", **columns: Any) -> None:
        for column, value in columns.items():
            self.log("%s.%s" % (name, column), value)

    def log_table(self, name: str, value: dict[str, Any], description: str = "") -> None:
        for column, values in value.items():
            self.log_list("%s.%s" % (name, column), list(values) if isinstance(values, (list, tuple)) else [values])

    def log_image(self, name: str, path: Any = None, plot: Any = None, description: str = "") -> None:
        if plot is not None:
            figure = plot if hasattr(plot, "savefig") else getattr(plot, "gcf", lambda: None)()
            _mlflow().log_figure(figure, name + ".png")
        else:
            _mlflow().log_artifact(path)

    def tag(self, key: str, value: Any = None) -> None:
        _mlflow().set_tag(key, value)

    def set_tags(self, tags: dict[str, Any]) -> None:
        _mlflow().set_tags(tags)

    def get_tags(self) -> dict[str, Any]:
        return dict(_mlflow().get_run(self.id).data.tags)

    def get_metrics(self, name: Any = None) -> dict[str, Any]:
        found = dict(_mlflow().get_run(self.id).data.metrics)
        return found if name is None else {key: value for key, value in found.items() if key == name}

    def upload_file(self, name: str, path_or_stream: str, datastore_name: Any = None) -> None:
        import shutil
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            named = os.path.join(folder, os.path.basename(name))
            shutil.copyfile(path_or_stream, named)
            _mlflow().log_artifact(named, os.path.dirname(name) or None)

    def upload_folder(self, name: str, path: str, datastore_name: Any = None) -> None:
        _mlflow().log_artifacts(path, name)

    def flush(self, timeout_seconds: float = 300) -> None:
        """Everything is sent at once."""

    def complete(self, _set_status: bool = True) -> None:
        """The step's end says how it ended."""

    def __getattr__(self, name: str) -> Any:
        raise _missing("Run", name)


class _First(importlib.abc.MetaPathFinder):
    """Lets Azure's own module load, and changes the one way to get at a run."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != REAL:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            load(module)
            module.Run.get_context = staticmethod(Run.get_context)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


class _Last(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """``azureml`` and ``azureml.core`` where nobody else has them."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in PACKAGES:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        if module.__name__ == PACKAGES[1]:
            module.Run, module.Workspace, module.Experiment = Run, Workspace, Experiment


def _mlflow() -> Any:
    try:
        import mlflow
    except ImportError:
        raise ImportError("what a run logs is sent with mlflow: add it to the environment") from None
    return mlflow


def _missing(kind: str, name: str) -> AttributeError:
    return AttributeError(
        "%s.%s belongs to Azure ML's service, which is not here; log with mlflow, and name data as inputs of the job"
        % (kind, name)
    )
