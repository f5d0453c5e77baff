"""Monitors: every signal that is served in full, the others kept and marked, Azure ML's defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doubleloop.base import errors
from doubleloop.specs import documents, model
from doubleloop.specs.kinds import monitors

HEAD = "name: watch\ntrigger: {type: recurrence, frequency: day, interval: 1, schedule: {hours: 3, minutes: 15}}\n"
SIGNALS = """create_monitor:
  compute: {instance_type: standard_e4s_v3, runtime_version: "3.4"}
  monitoring_target: {ml_task: Classification, endpoint_deployment_id: azureml:credit:main}
  monitoring_signals:
    drift:
      type: data_drift
      production_data:
        input_data: {path: azureml:inputs:1, type: uri_folder}
        data_context: model_inputs
        data_window: {lookback_window_size: P7D, lookback_window_offset: P0D}
      reference_data:
        input_data: {path: azureml:train:1, type: mltable}
        data_context: training
        data_column_names: {target_column: DEFAULT}
      features: {top_n_feature_importance: 10}
      feature_type_override: {AGE: Numerical}
      data_segment: {feature_name: region, feature_values: [north]}
      metric_thresholds:
        numerical: {jensen_shannon_distance: 0.01, two_sample_kolmogorov_smirnov_test: 0.02}
        categorical: {pearsons_chi_squared_test: 0.02}
    predictions:
      type: prediction_drift
      metric_thresholds: {numerical: {population_stability_index: 0.2}}
    quality:
      type: data_quality
      features: [SEX, EDUCATION]
      metric_thresholds: {numerical: {null_value_rate: 0.05}, categorical: {out_of_bounds_rate: 0.03}}
    performance:
      type: model_performance
      production_data:
        data_column_names: {prediction: p, correlation_id: id}
      reference_data:
        input_data: {path: azureml:truth:1, type: mltable}
        data_context: ground_truth
        data_column_names: {target_column: y, correlation_id: id}
      metric_thresholds: {classification: {accuracy: 0.9, precision: 0.8}}
    attribution:
      type: feature_attribution_drift
      metric_thresholds: {normalized_discounted_cumulative_gain: 0.9}
    own:
      type: custom
      component_id: azureml:my_signal:1
      connection: {environment_variables: {KEY: "${{azureml://connections/c/credentials/key}}"}}
      inputs: {rate: 3, table: {type: mltable, path: azureml:t:1}}
      input_data: {rows: {input_data: {path: azureml:inputs:1, type: mltable}, data_context: model_inputs}}
      metric_thresholds: [{metric_name: std, threshold: 2}]
    tokens:
      type: generation_token_statistics
      metric_thresholds: {totaltoken: {total_token_count: 100000, total_token_count_per_group: 50000}}
    text:
      type: generation_safety_quality
      metric_thresholds: {groundedness: {aggregated_groundedness_pass_rate: 0.7}}
  alert_notification: {emails: [abc@example.com]}
"""


def parse(text: str) -> model.Document:
    return documents.parse(HEAD + text, "m.yml", Path())


def test_every_signal_is_read() -> None:
    monitor = parse(SIGNALS).model.create_monitor
    signals = monitor.monitoring_signals
    drift = signals["drift"]
    assert drift.features.top_n_feature_importance == 10
    assert drift.metric_thresholds.numerical.two_sample_kolmogorov_smirnov_test == 0.02
    assert drift.reference_data.data_column_names.target_column == "DEFAULT"
    assert drift.feature_type_override == {"AGE": "numerical"}
    assert signals["quality"].features == ["SEX", "EDUCATION"]
    assert signals["performance"].production_data[0].data_column_names.correlation_id == "id"
    assert signals["performance"].metric_thresholds.classification.accuracy == 0.9
    assert monitor.monitoring_target.ml_task == "classification"


def test_signals_that_are_not_computed_are_kept_and_noted() -> None:
    document = parse(SIGNALS)
    signals = document.model.create_monitor.monitoring_signals
    own = signals["own"]
    assert (own.component_id, own.inputs["rate"], own.inputs["table"].path) == ("azureml:my_signal:1", 3, "azureml:t:1")
    assert own.input_data["rows"].data_context == "model_inputs"
    assert (own.metric_thresholds[0].metric_name, own.metric_thresholds[0].threshold) == ("std", 2)
    assert signals["tokens"].metric_thresholds.totaltoken.total_token_count_per_group == 50000
    assert signals["attribution"].metric_thresholds.normalized_discounted_cumulative_gain == 0.9
    (note,) = [note for note in document.notices if note.field == "type"]
    assert "needs a judge" in note.why and note.where.line == 53


OWN = """create_monitor:
  monitoring_signals:
    guess: {type: estimated_performance, metric_thresholds: {classification: {roc_auc: 0.7}}}
    parts: {type: segment_performance, segment_by: kind}
    groups: {type: fairness, sensitive_features: [sex, age], positive_label: yes}
    left: {type: residual_drift, metric_thresholds: {residual_autocorrelation: 0.01}}
    words: {type: text_drift, features: question, metric_thresholds: {out_of_vocabulary_rate: 0.2}}
    space: {type: embedding_drift, features: [vector], of_outputs: true}
"""


def test_signals_of_our_own_are_read_without_a_word() -> None:
    document = parse(OWN)
    signals = document.model.create_monitor.monitoring_signals
    assert document.notices == ()
    assert signals["guess"].metric_thresholds.classification.roc_auc == 0.7
    assert (signals["parts"].segment_by, signals["parts"].min_rows) == (["kind"], 30)
    assert signals["groups"].sensitive_features == ["sex", "age"]
    assert signals["words"].metric_thresholds.out_of_vocabulary_rate == 0.2
    assert signals["space"].of_outputs is True
    with pytest.raises(errors.InvalidInput) as caught:
        parse(OWN.replace("segment_by: kind", "min_rows: 5"))
    assert caught.value.where.line == 4 + HEAD.count("\n")


def test_without_signals_the_three_defaults_of_azure_apply() -> None:
    signals = monitors.effective_signals(parse("create_monitor: {}\n").model.create_monitor)
    assert list(signals) == ["data-drift-signal", "prediction-drift-signal", "data-quality-signal"]
    drift = signals["data-drift-signal"].metric_thresholds
    assert drift.numerical.normalized_wasserstein_distance == 0.1
    assert drift.categorical.jensen_shannon_distance == 0.1
    quality = signals["data-quality-signal"].metric_thresholds
    assert (quality.numerical.null_value_rate, quality.categorical.out_of_bounds_rate) == (0.0, 0.0)


def test_a_signal_without_thresholds_gets_those_of_its_type() -> None:
    text = "create_monitor: {monitoring_signals: {mine: {type: data_quality, features: [a]}}}\n"
    (signal,) = monitors.effective_signals(parse(text).model.create_monitor).values()
    assert signal.metric_thresholds.numerical.data_type_error_rate == 0.0
    assert signal.features == ["a"]


def window(fields: str) -> str:
    return f"{{type: data_drift, production_data: {{data_window: {{{fields}}}}}}}"


@pytest.mark.parametrize(
    ("signal", "says"),
    [
        ({"type": "data_drft"}, "not 'data_drft'"),
        ({}, "'type' is missing"),
        ({"type": "data_drift", "metric_thresholds": {"categorical": {"chi_squared_test": 0.1}}}, "unknown field"),
        ({"type": "data_drift", "metric_thresholds": {"numerical": {"jensen_shannon_distance": -1}}}, "greater than"),
        ({"type": "data_drift", "features": "some"}, "all_features"),
        ({"type": "data_drift", "features": {"top_n": 3}}, "unknown field 'top_n'"),
        ({"type": "data_drift", "production_data": {"data_window": {"lookback_window_size": "7"}}}, "not a duration"),
        ({"type": "data_drift", "reference_data": {"data_context": "train"}}, "must be one of model_inputs"),
        ({"type": "model_performance", "metric_thresholds": {"regression": {"r2": 1}}}, "unknown field 'r2'"),
        ({"type": "data_quality", "alert_enabled": "maybe"}, "must be true or false"),
        ({"type": "data_drift", "features": []}, "at least 1"),
        (window("lookback_window_size: P0D"), "longer than zero"),
        (window("window_start: 2026-02-01, window_end: 2026-01-01"), "lies before window_start"),
        (window("window_end: 2026-01-01"), "needs window_start"),
        (window("window_start: 2026-01-01, lookback_window_size: P7D"), "not both"),
    ],
)
def test_what_is_wrong_in_a_signal_is_said(signal: dict[str, Any] | str, says: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        parse(f"create_monitor:\n  monitoring_signals:\n    s: {signal}\n")
    assert says in caught.value.what
    assert caught.value.where and caught.value.where.line == 5


def test_the_columns_of_azures_generation_signals_are_taken() -> None:
    """Of the article on monitoring of generative AI; what needs a judge is said to have no effect."""
    names = "{prompt_column: question, completion_column: answer, context_column: context, ground_truth_column: truth}"
    data = f"[{{input_data: {{path: azureml:asked:1}}, data_column_names: {names}}}]"
    text = (
        f"create_monitor: {{monitoring_signals: {{s: {{type: generation_safety_quality, production_data: {data}}}}}}}\n"
    )
    signal = (parse(text).model.create_monitor.monitoring_signals or {})["s"]
    assert signal.production_data[0].data_column_names.completion_column == "answer"
