"""AutoML: trials of algorithms on a table, as a job that was loaded from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from doubleloop.sdk.entities import settings
from doubleloop.sdk.entities.model import Entity
from doubleloop.sdk.entities.values import Input
from doubleloop.sdk.steps.model import Step


@dataclass(kw_only=True, eq=False, repr=False)
class AutoML(Step):
    """Made by ``load_job``. Its tables are fields of their own, and it has no ``inputs``."""

    _kind: ClassVar[str] = "automl_job"
    _inner: ClassVar[Mapping[str, type[Entity]]] = {
        "training_data": Input, "validation_data": Input, "test_data": Input,
        "resources": settings.JobResourceConfiguration,
    }  # fmt: skip

    type: str = "automl"
    task: str | None = None
    target_column_name: str | None = None
    training_data: Input | str | None = None
    validation_data: Input | str | None = None
    test_data: Input | str | None = None
    validation_data_size: float | None = None
    test_data_size: float | None = None
    n_cross_validations: int | str | None = None
    cv_split_column_names: list[str] | None = None
    weight_column_name: str | None = None
    primary_metric: str | None = None
    positive_label: str | None = None
    limits: Mapping[str, Any] | None = None
    featurization: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None
    forecasting: Mapping[str, Any] | None = None
    log_verbosity: str | None = None
    resources: settings.JobResourceConfiguration | None = None
    environment_id: Any = None
    environment_variables: dict[str, str] = field(default_factory=dict)
    identity: Any = None
    queue_settings: Any = None
    parent_job_name: str | None = None
