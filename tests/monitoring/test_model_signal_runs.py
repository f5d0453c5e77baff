"""Signals about models over a written inference log; scikit-learn, fairlearn and scipy are the referees."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import fairlearn.metrics as fair
import numpy as np
import polars as pl
import pytest
from monitoring_watch import NOW, Watch
from scipy import stats
from sklearn import metrics as referee
from sklearn import neighbors

from doubleloop.automation import asking
from doubleloop.base import errors
from doubleloop.labeling import queries as projects
from doubleloop.labeling import store as _store  # noqa: F401  (declares its tables before the house is built)
from doubleloop.monitoring import examples

RANDOM = np.random.default_rng(5)
DAY = timedelta(days=1)
REFERENCE = """
  reference_data:
    input_data: {type: uri_file, path: "azureml:training@latest"}
    data_column_names: {target_column: y}
"""


def test_features_that_matter_otherwise_than_in_training_are_found(watch: Watch) -> None:
    a, b, c = (RANDOM.normal(size=600) for _ in range(3))
    watch.training(pl.DataFrame({"a": a, "b": b, "c": c, "y": 3 * a + 1.5 * b + 0.1 * c}))
    watch.answered({"a": a.tolist(), "b": b.tolist(), "c": c.tolist()}, (3 * a + 1.5 * b).tolist())
    # Azure's files list inputs and answers apart; only the second says which column is the prediction.
    parts = (
        "  production_data:\n    - {data_context: model_inputs, data_column_names: {correlation_id: id}}\n"
        "    - {data_context: model_outputs, data_column_names: {prediction: prediction, correlation_id: id}}\n"
    )
    watch.put("order:\n  type: feature_attribution_drift" + REFERENCE + parts)
    metric = "normalized_discounted_cumulative_gain"
    assert watch.value(watch.run(), "order", metric) == pytest.approx(1.0)

    watch.answered({"a": a.tolist(), "b": b.tolist(), "c": c.tolist()}, (0.1 * a + 0.5 * b + 9 * c).tolist(),
                   start=NOW + timedelta(hours=1))  # fmt: skip
    run = watch.run(NOW + DAY, "later")
    shares = np.array([9, 2.25, 0.01]) / 11.26  # what each explains of independent sums
    assert watch.value(run, "order", metric) == pytest.approx(referee.ndcg_score([shares], [[0, 1, 2]]), abs=0.03)
    found = watch.signal(run, "order")
    assert found["status"] == "alert", "0.9 is the threshold when the file names none"
    assert found["moved"][0]["sentence"].startswith(("c: importance", "a: importance"))


def scores(rows: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    probability = np.clip(RANDOM.beta(spread, spread, rows), 0.001, 0.999)
    return probability, (RANDOM.random(rows) < probability).astype(int)


ESTIMATED = """guess:
  type: estimated_performance
  production_data: {data_column_names: {prediction_probability: chance}}
  metric_thresholds: {classification: {accuracy: 0.75, f1: 0.5, roc_auc: 0.5}}
"""


def test_a_classifiers_performance_is_estimated_before_the_truth_is_known(watch: Watch) -> None:
    before, truth = scores(2_000, 0.5)
    ids = watch.answered({"x": [0.0] * 2_000}, (before > 0.5).astype(int).tolist(), start=NOW - 2 * DAY,
                         more={"out.chance": before.tolist()})  # fmt: skip
    watch.told(dict(zip(ids, truth.tolist(), strict=True)), NOW - DAY)
    after, later = scores(1_500, 3.0)  # nobody is sure any more
    said = (after > 0.5).astype(int)
    watch.answered({"x": [0.0] * 1_500}, said.tolist(), more={"out.chance": after.tolist()})
    watch.put(ESTIMATED, task="classification")
    run = watch.run()
    assert watch.value(run, "guess", "accuracy") == pytest.approx(referee.accuracy_score(later, said), abs=0.04)
    assert watch.value(run, "guess", "roc_auc") == pytest.approx(referee.roc_auc_score(later, after), abs=0.04)
    assert watch.value(run, "guess", "f1") == pytest.approx(referee.f1_score(later, said), abs=0.04)
    crossed = [each["metric"] for each in watch.signal(run, "guess")["metrics"] if each["alert"]]
    assert crossed == ["accuracy"]
    watch.put(ESTIMATED.replace("prediction_probability: chance", "prediction: prediction"), task="classification")
    assert "needs its probabilities" in watch.signal(watch.run(id_="blind"), "guess")["reason"]


def test_a_regressors_loss_is_estimated_from_a_reference_with_predictions(watch: Watch) -> None:
    x = RANDOM.uniform(0, 4, 2_000)
    watch.training(pl.DataFrame({"x": x, "said": 10 * x, "y": 10 * x + RANDOM.normal(size=2_000) * (0.5 + x)}))
    now = RANDOM.uniform(3, 4, 500)
    watch.answered({"x": now.tolist()}, (10 * now).tolist())
    watch.put(
        "guess:\n  type: estimated_performance"
        + REFERENCE.replace("target_column: y", "target_column: y, prediction: said")
        + "  metric_thresholds: {regression: {mae: 2.0, rmse: 50}}"
    )  # fmt: skip
    run = watch.run()
    wanted = np.mean(0.5 + now) * np.sqrt(2 / np.pi)  # mean absolute value of a normal error
    assert watch.value(run, "guess", "mae") == pytest.approx(wanted, rel=0.1)
    assert watch.signal(run, "guess")["status"] == "alert"


def test_each_segment_is_judged_by_itself(watch: Watch) -> None:
    kind = RANDOM.choice(["a", "b"], 400).tolist() + ["rare"] * 5
    said = RANDOM.normal(size=405)
    truth = said + RANDOM.normal(size=405) * np.where(np.array(kind) == "a", 0.1, 3)
    ids = watch.answered({"kind": kind}, said.tolist())
    watch.told(dict(zip(ids, truth.tolist(), strict=True)))
    watch.put("parts:\n  type: segment_performance\n  segment_by: kind\n  metric_thresholds: {regression: {mae: 1}}")
    run = watch.run()
    for label in "ab":
        chosen = np.array(kind) == label
        wanted = referee.mean_absolute_error(truth[chosen], said[chosen])
        assert watch.value(run, "parts", "mae", f"kind={label}") == pytest.approx(wanted)
    assert [each["column"] for each in watch.signal(run, "parts")["metrics"] if each["alert"]] == ["kind=b"]
    assert len(watch.signal(run, "parts")["metrics"]) == 2, "five rows are too few"


FAIRNESS = """groups:
  type: fairness
  sensitive_features: [sex]
  metric_thresholds: {selection_rate_difference: 0.1, selection_rate_ratio: 0.8, equalized_odds_difference: 0.9}
"""


def test_fairness_is_fairlearns_window_by_window(watch: Watch) -> None:
    sex = RANDOM.choice(["f", "m"], 600)
    said = (RANDOM.random(600) < np.where(sex == "f", 0.3, 0.6)).astype(int)
    truth = (RANDOM.random(600) < 0.5).astype(int)
    ids = watch.answered({"sex": sex.tolist()}, said.tolist())
    watch.put(FAIRNESS, task="classification")
    run = watch.run()
    about = {"y_true": truth, "y_pred": said, "sensitive_features": sex}
    wanted = fair.demographic_parity_difference(**about)
    assert watch.value(run, "groups", "selection_rate_difference", "sex") == pytest.approx(wanted)
    assert watch.value(run, "groups", "selection_rate_ratio", "sex") == pytest.approx(
        fair.demographic_parity_ratio(**about)
    )
    assert watch.value(run, "groups", "equalized_odds_difference", "sex") is None, "no truth came yet"
    assert watch.signal(run, "groups")["status"] == "alert"
    assert watch.signal(run, "groups")["moved"][0]["sentence"].startswith("sex: selected f ")
    watch.told(dict(zip(ids, truth.tolist(), strict=True)))
    found = watch.value(watch.run(id_="told"), "groups", "equalized_odds_difference", "sex")
    assert found == pytest.approx(fair.equalized_odds_difference(**about))


def test_residuals_of_a_forecast_are_compared_with_those_before(watch: Watch) -> None:
    before, after = RANDOM.normal(size=300), RANDOM.normal(1, 2, 200)
    for wrong, start in ((before, NOW - 2 * DAY), (after, NOW - timedelta(hours=12))):
        ids = watch.answered({"x": [0.0] * len(wrong)}, wrong.tolist(), start=start)
        watch.told(dict.fromkeys(ids, 0.0))
    watch.put("forecast:\n  type: residual_drift")
    run = watch.run()
    wanted = stats.ttest_ind(before, after, equal_var=False).pvalue
    assert watch.value(run, "forecast", "residual_mean_shift") == pytest.approx(wanted, rel=1e-6)
    wanted = stats.levene(before, after).pvalue
    assert watch.value(run, "forecast", "residual_variance_shift") == pytest.approx(wanted, rel=1e-6)
    assert watch.signal(run, "forecast")["status"] == "alert"


def test_texts_and_vectors_drift(watch: Watch) -> None:
    known = ["the bike is fast", "a fast bike", "the bike"] * 40
    new = ["велосипед очень быстрый сегодня вечером", "the bike is fast"] * 50
    one, two = RANDOM.normal(size=(120, 4)), RANDOM.normal(0.8, 1, size=(100, 4))
    for said, rows, start in ((known, one, NOW - 2 * DAY), (new, two, NOW - timedelta(hours=12))):
        ids = watch.answered(
            {"question": said, "vector": rows.tolist()}, ["bike", "other"] * (len(said) // 2), start=start
        )
    watch.put(
        "words:\n  type: text_drift\n  features: [question]\n  metric_thresholds:\n"
        "    numerical: {normalized_wasserstein_distance: 0.1}\n    categorical: {jensen_shannon_distance: 0.1}\n"
        "    out_of_vocabulary_rate: 0.2\n"
        "space:\n  type: embedding_drift\n  features: [vector]\n"
        "  metric_thresholds: {maximum_mean_discrepancy_test: 0.05, classifier_two_sample: 0.6}\n"
    )  # fmt: skip
    run = watch.run()
    assert watch.value(run, "words", "out_of_vocabulary_rate", "question") == pytest.approx(5 / 9)
    words = stats.wasserstein_distance([4, 3, 2] * 40, [5, 4] * 50) / np.std([4, 3, 2] * 40, ddof=1)
    found = watch.value(run, "words", "normalized_wasserstein_distance", "question.words")
    assert found == pytest.approx(words)
    assert watch.value(run, "words", "jensen_shannon_distance", "question.script") > 0.4
    assert watch.value(run, "space", "maximum_mean_discrepancy_test") < 0.02
    assert watch.value(run, "space", "classifier_two_sample") > 0.7
    assert {each["alert"] for each in watch.signal(run, "space")["metrics"]} == {True}
    near = neighbors.NearestNeighbors(n_neighbors=5).fit(one).kneighbors(two)[0].mean(axis=1)
    farthest = [ids[at] for at in np.argsort(-near)[:20]]
    assert [each["request"] for each in watch.signal(run, "space")["examples"]] == farthest
    assert watch.signal(run, "space")["moved"][0]["sentence"].startswith(
        f"vector of {farthest[0]} row 0 is {near.max():.3g}"
    )
    odd = {each["request"] for each in watch.signal(run, "words")["examples"]}
    assert len(odd) == 20 and odd <= set(ids[::2]), "the texts of another script are the ones unlike those before"
    _are_looked_at_and_labelled(watch, run, ids, new)


def _are_looked_at_and_labelled(watch: Watch, run: Any, ids: list[str], texts: list[str]) -> None:
    contexts, (linus, grace) = watch.house.contexts, map(watch.house.actor, ("linus", "grace"))
    looked = examples.look(contexts, linus, "prod", run.id, "words", 2)
    assert looked["inputs"]["question"] == texts[ids.index(looked["request"])]
    assert looked["outputs"] == {"prediction": "bike"}
    (fact,) = watch.facts("inference.read")
    assert (fact.actor, fact.subject) == ("linus", f"request:{looked['request']}"), "that it was seen is on record"
    with pytest.raises(errors.NotPermitted):
        examples.look(contexts, watch.house.actor("ada"), "prod", run.id, "words", 2)
    with pytest.raises(errors.NotFound, match="kept no example 99"):
        examples.look(contexts, linus, "prod", run.id, "words", 99)
    alert = next(each for each in watch.alerts() if each.signal == "words")
    made = asking.label_examples(contexts, grace, "prod", alert.id, "mails", task="text_classification", to="dev")
    assert (made.workspace, made.items, made.opened_by["alert"]) == ("dev", 20, alert.id)
    with watch.house.read("ada", "dev") as ctx:
        shown = [projects.item(ctx, made.name, number).content for number in range(1, 21)]
    assert set(shown) == {texts[0]}, "what people label is what was asked"
    again = asking.label_examples(contexts, grace, "prod", alert.id, "mails", task="text_classification", to="dev")
    assert again.name == made.name, "once"
    with pytest.raises(errors.NotPermitted):
        asking.label_examples(contexts, watch.house.actor("ada"), "prod", alert.id, "mails", to="dev")


def test_windows_without_rows_and_columns_that_are_not_there_say_so(watch: Watch) -> None:
    watch.put("groups:\n  type: fairness\n  sensitive_features: sex\nspace:\n  type: embedding_drift\n"
              "order:\n  type: feature_attribution_drift\nguess:\n  type: estimated_performance\n"
              "forecast:\n  type: residual_drift\n"
              "parts:\n  type: segment_performance\n  segment_by: [kind]")  # fmt: skip
    run = watch.run()
    assert {each["status"] for each in run.signals} == {"not_checked"}
    watch.answered({"x": [1.0] * 40}, [1.0] * 40)
    run = watch.run(id_="rows")
    assert "Column 'sex' is not in the data" in watch.signal(run, "groups")["reason"]
    assert "reference window has no rows" in watch.signal(run, "space")["reason"]


TOKENS = """tokens:
  type: generation_token_statistics
  metric_thresholds: {totaltoken: {total_token_count: 1000, total_token_count_per_group: 400}}
text: {type: generation_safety_quality}
"""


def test_tokens_are_those_that_the_model_says_and_quality_needs_a_judge(watch: Watch) -> None:
    watch.put(TOKENS)
    watch.answered({"question": ["a", "b"]}, ["yes", "no"], start=NOW - 3 * DAY)
    silent = watch.signal(watch.run(NOW - 2 * DAY, "silent"), "tokens")
    assert silent["status"] == "not_checked" and "neither 'total_tokens' nor" in silent["reason"]

    prompts, completions = RANDOM.integers(1, 9, 60), RANDOM.integers(5, 15, 60)
    told = {"out.prompt_tokens": prompts.tolist(), "out.completion_tokens": [*completions[:-1].tolist(), None]}
    versions = ["1"] * 20 + ["2"] * 40
    watch.answered({"question": ["a"] * 60}, ["yes"] * 60, more={**told, "model_version": versions})
    run = watch.run(id_="told")
    every = (prompts + completions)[:-1]
    assert watch.value(run, "tokens", "total_token_count") == every.sum()
    assert watch.value(run, "tokens", "total_token_count_per_group", "m:1") == every[:20].sum()
    assert watch.value(run, "tokens", "total_token_count_per_group", "m:2") == every[20:].sum()
    assert watch.value(run, "tokens", "avg_token_count") == pytest.approx(every.mean())
    assert watch.value(run, "tokens", "total_prompt_count") == prompts.sum()
    assert watch.value(run, "tokens", "avg_completion_count") == pytest.approx(completions[:-1].mean())
    crossed = {each["column"] for each in watch.signal(run, "tokens")["metrics"] if each["alert"]}
    assert crossed == {"m:2"} and watch.signal(run, "tokens")["status"] == "alert"
    quality = watch.signal(run, "text")
    assert quality["status"] == "not_checked" and "type custom runs a component" in quality["reason"]
