"""AutoML on tables: ``classification``, ``regression`` and ``forecasting``, in the words of Azure's SDK.

Each makes a job that ``MLClient.jobs.create_or_update`` submits, and inside of a ``@pipeline`` a step of it, whose
``outputs.best_model`` is the best trial's MLflow model. ``set_limits``, ``set_training``, ``set_featurization`` and
``set_forecast_settings`` say the rest (docs/automl.md).
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from doubleloop.sdk.entities.values import Input
from doubleloop.sdk.steps.learning import AutoML, ColumnTransformer, ForecastingSettings, StackEnsembleSettings
from doubleloop.sdk.steps.model import join

__all__ = [
    "AutoML", "ColumnTransformer", "ForecastingSettings", "StackEnsembleSettings", "classification", "forecasting",
    "regression",
]  # fmt: skip


def classification(
    *, training_data: Input | str, target_column_name: str, primary_metric: str | None = None, **more: Any
) -> AutoML:
    """Learn which class a row has. ``more``: further fields of ``AutoML``, such as ``validation_data``, ``compute``,
    ``experiment_name``, ``outputs``, and ``enable_model_explainability``."""
    return _job("classification", training_data, target_column_name, primary_metric, more)


def regression(
    *, training_data: Input | str, target_column_name: str, primary_metric: str | None = None, **more: Any
) -> AutoML:
    """Learn a number. ``more`` as for ``classification``."""
    return _job("regression", training_data, target_column_name, primary_metric, more)


def forecasting(
    *, training_data: Input | str, target_column_name: str, primary_metric: str | None = None,
    forecasting_settings: ForecastingSettings | None = None, **more: Any,
) -> AutoML:  # fmt: skip
    """Learn the next values of one or more series. ``more`` as for ``classification``."""
    job = _job("forecasting", training_data, target_column_name, primary_metric, more)
    if forecasting_settings is not None:
        job.set_forecast_settings(
            **{each.name: getattr(forecasting_settings, each.name) for each in dataclasses.fields(forecasting_settings)}
        )
    return job


def _job(
    task: Literal["classification", "regression", "forecasting"], training_data: Input | str, target_column_name: str,
    primary_metric: str | None, more: dict[str, Any],
) -> AutoML:  # fmt: skip
    explains = more.pop("enable_model_explainability", None)
    job = AutoML(
        task=task, training_data=training_data, target_column_name=target_column_name, primary_metric=primary_metric,
        **more,
    )  # fmt: skip
    if explains is not None:
        job.set_training(enable_model_explainability=explains)
    return join(job)
