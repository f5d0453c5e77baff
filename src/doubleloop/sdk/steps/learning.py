"""AutoML: trials of algorithms on a table, as a job or a step of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from doubleloop.sdk.entities import settings
from doubleloop.sdk.entities.model import Entity
from doubleloop.sdk.entities.values import Input
from doubleloop.sdk.steps.model import Step


@dataclass(kw_only=True, eq=False, repr=False)
class ColumnTransformer(Entity):
    """Settings of one transformer for some columns, or for all that it fits."""

    fields: list[str] | None = None
    parameters: Mapping[str, Any] | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class StackEnsembleSettings(Entity):
    """How the models' predictions are joined by a model of their own."""

    stack_meta_learner_type: str | None = None
    stack_meta_learner_train_percentage: float | None = None
    stack_meta_learner_kwargs: Mapping[str, Any] | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class ForecastingSettings(Entity):
    """What is a time, a series, a season."""

    time_column_name: str | None = None
    forecast_horizon: int | str | None = None
    time_series_id_column_names: str | list[str] | None = None
    target_lags: int | str | list[int] | None = None
    target_rolling_window_size: int | str | None = None
    frequency: str | None = None
    seasonality: int | str | None = None
    cv_step_size: int | None = None
    country_or_region_for_holidays: str | None = None
    short_series_handling_config: str | None = None
    target_aggregate_function: str | None = None
    features_unknown_at_forecast_time: str | list[str] | None = None
    feature_lags: str | None = None
    use_stl: str | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class AutoML(Step):
    """Made by ``automl.classification`` and its like, or by ``load_job``. Its tables are fields of their own, and it
    has no ``inputs``. What is left out of a ``set_…`` keeps what was said before."""

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

    def set_data(
        self, *, training_data: Input | str, target_column_name: str, weight_column_name: str | None = None,
        validation_data: Input | str | None = None, validation_data_size: float | None = None,
        n_cross_validations: int | str | None = None, cv_split_column_names: list[str] | None = None,
        test_data: Input | str | None = None, test_data_size: float | None = None,
    ) -> None:  # fmt: skip
        """Tables, and how their rows are divided for validation and test."""
        self.training_data, self.target_column_name = training_data, target_column_name
        self.weight_column_name = weight_column_name
        self.validation_data, self.validation_data_size = validation_data, validation_data_size
        self.n_cross_validations, self.cv_split_column_names = n_cross_validations, cv_split_column_names
        self.test_data, self.test_data_size = test_data, test_data_size

    def set_limits(
        self, *, max_trials: int | None = None, max_concurrent_trials: int | None = None,
        timeout_minutes: int | None = None, trial_timeout_minutes: int | None = None,
        enable_early_termination: bool | None = None, exit_score: float | None = None,
        max_cores_per_trial: int | None = None, max_nodes: int | None = None,
    ) -> None:  # fmt: skip
        """How many trials, how long."""
        self.limits = _merged(self.limits, {
            "max_trials": max_trials, "max_concurrent_trials": max_concurrent_trials,
            "timeout_minutes": timeout_minutes, "trial_timeout_minutes": trial_timeout_minutes,
            "enable_early_termination": enable_early_termination, "exit_score": exit_score,
            "max_cores_per_trial": max_cores_per_trial, "max_nodes": max_nodes,
        })  # fmt: skip

    def set_training(
        self, *, allowed_training_algorithms: list[str] | None = None,
        blocked_training_algorithms: list[str] | None = None, enable_vote_ensemble: bool | None = None,
        enable_stack_ensemble: bool | None = None, enable_model_explainability: bool | None = None,
        enable_dnn_training: bool | None = None, enable_onnx_compatible_models: bool | None = None,
        stack_ensemble_settings: StackEnsembleSettings | Mapping[str, Any] | None = None,
        ensemble_model_download_timeout: int | None = None, training_mode: str | None = None,
    ) -> None:  # fmt: skip
        """Which algorithms, which ensembles. ``ensemble_model_download_timeout`` in minutes."""
        self.training = _merged(self.training, {
            "allowed_training_algorithms": allowed_training_algorithms,
            "blocked_training_algorithms": blocked_training_algorithms,
            "enable_vote_ensemble": enable_vote_ensemble, "enable_stack_ensemble": enable_stack_ensemble,
            "enable_model_explainability": enable_model_explainability, "enable_dnn_training": enable_dnn_training,
            "enable_onnx_compatible_models": enable_onnx_compatible_models,
            "stack_ensemble_settings": stack_ensemble_settings,
            "ensemble_model_download_timeout_minutes": ensemble_model_download_timeout,
            "training_mode": training_mode,
        })  # fmt: skip

    def set_featurization(
        self, *, mode: str | None = None, blocked_transformers: list[str] | None = None,
        column_name_and_types: dict[str, str] | None = None, dataset_language: str | None = None,
        transformer_params: Mapping[str, list[ColumnTransformer]] | None = None,
        enable_dnn_featurization: bool | None = None,
    ) -> None:  # fmt: skip
        """How columns become features."""
        self.featurization = _merged(self.featurization, {
            "mode": mode, "blocked_transformers": blocked_transformers,
            "column_name_and_types": column_name_and_types, "dataset_language": dataset_language,
            "transformer_params": transformer_params, "enable_dnn_featurization": enable_dnn_featurization,
        })  # fmt: skip

    def set_forecast_settings(
        self, *, time_column_name: str | None = None, forecast_horizon: int | str | None = None,
        time_series_id_column_names: str | list[str] | None = None, target_lags: int | str | list[int] | None = None,
        target_rolling_window_size: int | str | None = None, frequency: str | None = None,
        seasonality: int | str | None = None, cv_step_size: int | None = None,
        country_or_region_for_holidays: str | None = None, short_series_handling_config: str | None = None,
        target_aggregate_function: str | None = None, features_unknown_at_forecast_time: str | list[str] | None = None,
        feature_lags: str | None = None, use_stl: str | None = None,
    ) -> None:  # fmt: skip
        """What is a time, a series, a season; of forecasting alone."""
        self.forecasting = _merged(self.forecasting, {
            "time_column_name": time_column_name, "forecast_horizon": forecast_horizon,
            "time_series_id_column_names": time_series_id_column_names, "target_lags": target_lags,
            "target_rolling_window_size": target_rolling_window_size, "frequency": frequency,
            "seasonality": seasonality, "cv_step_size": cv_step_size,
            "country_or_region_for_holidays": country_or_region_for_holidays,
            "short_series_handling_config": short_series_handling_config,
            "target_aggregate_function": target_aggregate_function,
            "features_unknown_at_forecast_time": features_unknown_at_forecast_time,
            "feature_lags": feature_lags, "use_stl": use_stl,
        })  # fmt: skip


def _merged(before: Mapping[str, Any] | None, said: Mapping[str, Any]) -> dict[str, Any]:
    return {**(before or {}), **{name: value for name, value in said.items() if value is not None}}
