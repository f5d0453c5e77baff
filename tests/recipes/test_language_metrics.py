"""The metrics of language tasks give what their libraries' own documents and the papers say."""

from __future__ import annotations

import math

import pytest

from doubleloop.recipes.language import metrics, slicing


def test_entities_are_counted_as_conlleval_does() -> None:
    """The example of seqeval's README."""
    truth = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    found = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    assert metrics.entities(truth, found) == {"entity_precision": 0.5, "entity_recall": 0.5, "entity_f1": 0.5}
    assert metrics.tags(truth, found)["accuracy"] == pytest.approx(8 / 10)


def test_translations_are_measured_as_sacrebleu_does() -> None:
    """The example of sacrebleu's README: BLEU = 48.53, chrF2 = 59.73."""
    one = ["The dog bit the man.", "It was not unexpected.", "The man bit him first."]
    two = ["The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."]
    found = metrics.translations(
        list(zip(one, two, strict=True)),
        ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."],
    )
    assert found["bleu"] == pytest.approx(48.53, abs=0.005) and found["chrf"] == pytest.approx(59.73, abs=0.005)


def test_summaries_are_measured_by_rouge() -> None:
    """The example of TorchMetrics' documentation of ROUGEScore."""
    found = metrics.summaries(["Is your name John"], ["My name is John"])
    assert found == {"rouge1": 0.75, "rouge2": 0.0, "rougel": 0.5}


def test_answers_are_measured_by_squads_definition() -> None:
    """Section 6.1 of the paper: articles, punctuation and case do not count, and the best true answer does."""
    truth = [["Denver Broncos", "Broncos"], ["Panthers"], ["gold"], ["1976"]]
    found = metrics.answers(truth, ["The Denver Broncos!", "Carolina Panthers defeated", "", "1976"])
    assert found["exact_match"] == 0.5
    assert found["token_f1"] == pytest.approx((1 + 0.5 + 0 + 1) / 4), "1/3 and 1 make 0.5"


def test_perplexity_is_the_number_of_equally_likely_tokens() -> None:
    assert metrics.perplexity([3 * math.log(4), math.log(4)], [3, 1]) == pytest.approx(4)


def test_phrases_count_up_to_a_place() -> None:
    found = metrics.phrases([["Neural Net", "graph"], ["tree"]], [["neural net", "x"], ["y", "tree"]], at=2)
    assert found == {"precision_at_2": 0.5, "recall_at_2": 0.75, "f1_at_2": pytest.approx(0.6)}


def test_an_unknown_label_costs_what_scikit_learn_says() -> None:
    from sklearn.metrics import log_loss

    shares = [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]
    assert metrics.log_loss(["a", "b", "b"], shares, ["a", "b"]) == pytest.approx(log_loss(["a", "b", "b"], shares))
    assert metrics.log_loss(["c"], [[0.5, 0.5]], ["a", "b"]) == pytest.approx(-math.log(2**-52))


def test_slices_are_by_length_script_and_terms() -> None:
    texts = ["She left.", "Пришла зима", "he and HER dog ran away from here", "the there"]
    found = slicing.table(texts, lambda rows: {"n": float(len(rows))}, terms={"women": ["she", "her"]})
    told = {(row["column"], row["value"]): row["n"] for row in found.to_dict("records")}
    assert told["script", "cyrillic"] == 1 and told["script", "latin"] == 3
    assert told["term women", "mentioned"] == 2, "'there' and 'here' are no terms"
    assert told["length", "2-2 words"] == 3 and found["small"].all()
