"""AutoML jobs as files: Azure ML's spellings and defaults, and what cannot work told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from doubleloop.base import errors
from doubleloop.specs import bindings, documents, pipelines

JOB = """\
type: automl
task: classification
target_column_name: y
primary_metric: auc_weighted
training_data: {type: mltable, path: azureml:train:1}
validation_data: {type: mltable, path: azureml:later:1}
limits: {max_trials: 4}
featurization:
  mode: custom
  blocked_transformers: [label_encoder, WordEmbedding]
  column_name_and_types: {a: Categorical}
  transformer_params:
    imputer: [{fields: [a], parameters: {strategy: most_frequent}}]
training:
  allowed_training_algorithms: [light_gbm, XGBoostClassifier, logistic_regression]
  blocked_training_algorithms: [LightGBM]
"""
FORECAST = """\
type: automl
task: forecasting
target_column_name: y
training_data: {type: mltable, path: azureml:train:1}
forecasting: {time_column_name: day, time_series_id_column_names: shop, target_lags: [1, 2], forecast_horizon: auto}
"""


def parse(text: str) -> documents.Document:
    return documents.parse(text, "f.yml", Path("/nowhere"))


def test_names_are_read_in_any_of_azures_spellings() -> None:
    job = parse(JOB).model
    assert job.metric() == "AUC_weighted"
    assert job.algorithms() == ("XGBoostClassifier", "LogisticRegression")
    assert job.featurization.blocked_transformers == ["LabelEncoder", "WordEmbedding"]
    assert list(job.featurization.transformer_params) == ["Imputer"]
    assert parse(JOB.replace("mode: custom", "mode: off")).model.featurization.mode == "off"
    assert parse(JOB.replace("primary_metric: auc_weighted\n", "")).model.metric() == "AUC_weighted"
    forecast = parse(FORECAST).model
    assert forecast.metric() == "normalized_root_mean_squared_error"
    assert forecast.forecasting.time_series_id_column_names == ["shop"]
    assert "Prophet" not in forecast.algorithms() and "Arimax" in forecast.algorithms()


def test_a_job_is_one_step_whose_tables_are_its_inputs_and_whose_output_is_a_model() -> None:
    (step,) = pipelines.steps(parse(JOB))
    assert list(step.inputs) == ["training_data", "validation_data"]
    assert step.outputs == {"best_model": bindings.OutputDef("best_model", "mlflow_model")}
    assert isinstance(step.body, bindings.Learning)


IN_A_PIPELINE = """\
type: pipeline
inputs: {rows: {type: mltable, path: azureml:rows:1}}
jobs:
  learn:
    type: automl
    task: regression
    target_column_name: y
    training_data: ${{parent.inputs.rows}}
  use:
    command: ls ${{inputs.model}}
    environment: azureml:e@latest
    inputs: {model: "${{parent.jobs.learn.outputs.best_model}}"}
"""


def test_a_step_gives_its_model_to_the_next_whether_or_not_it_names_it() -> None:
    learn, use = pipelines.steps(parse(IN_A_PIPELINE))
    assert learn.inputs == {"training_data": bindings.PipelineInput("rows")}
    assert learn.outputs["best_model"].type == "mlflow_model"
    assert use.inputs == {"model": bindings.StepOutput("learn", "best_model")} and use.depends_on == ("learn",)


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        (JOB.replace("auc_weighted", "r2_score"), "primary_metric 'r2_score' is not one of AUC_weighted", 1),
        (JOB.replace("light_gbm", "light_gmb"), "did you mean 'LightGBM'?", 15),
        (JOB.replace("light_gbm", "ElasticNet"), "'ElasticNet' is no algorithm of classification", 1),
        (JOB.replace("[LightGBM]", "[LightGBM, XGBoostClassifier, logistic_regression]"), "every algorithm is", 1),
        (JOB.replace("a: Categorical", "a: Categorial"), "did you mean 'Categorical'?", 11),
        (JOB.replace("limits:", "n_cross_validations: 5\nlimits:"), "contradict each other", 1),
        (JOB.replace("limits: {", "limits: {max_trails: 4, "), "unknown field 'max_trails'", 7),
        (JOB.replace(", path: azureml:train:1", ""), "the input 'training_data' has no value", 5),
        (JOB + "forecasting: {time_column_name: t}\n", "'forecasting' means nothing in a task of classification", 1),
        (JOB + "outputs: {model: {type: mlflow_model}}\n", "one output, 'best_model'", 1),
        (FORECAST.replace("forecasting: {", "other: {"), "unknown field 'other'", 5),
        (FORECAST.replace("[1, 2]", "[0]"), "greater than or equal to 1", 5),
        (FORECAST + "test_data_size: 0.1\n", "forecasts are validated on later rows", 1),
        (IN_A_PIPELINE.replace("outputs.best_model", "outputs.model"), "the output 'model' does not exist", 12),
        (IN_A_PIPELINE.replace("inputs.rows}", "inputs.row}"), "did you mean 'rows'?", 8),
    ],
)  # fmt: skip
def test_what_cannot_work_is_told_with_its_line(text: str, says: str, line: int) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        pipelines.steps(parse(text))
    assert says in str(caught.value)
    assert caught.value.where is not None and caught.value.where.line == line, str(caught.value)


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        (JOB.replace("task: classification", "task: image_object_detection"), "images and texts", 2),
        (JOB + "  enable_dnn_training: true\n", "'enable_dnn_training' is not served: there is no trainer", 17),
        (JOB + "  enable_onnx_compatible_models: true\n", "'enable_onnx_compatible_models' is not served", 17),
        (FORECAST + "training: {allowed_training_algorithms: [TCNForecaster]}\n", "'TCNForecaster' is not served", 6),
        (FORECAST.replace("{time", "{use_stl: season, time"), "'use_stl: season' is not served", 5),
    ],
)
def test_what_is_not_served_is_refused_with_its_line_and_what_to_do(text: str, says: str, line: int) -> None:
    with pytest.raises(errors.NotSupported) as caught:
        parse(text)
    assert says in str(caught.value) and caught.value.cure
    assert caught.value.where is not None and caught.value.where.line == line, str(caught.value)
