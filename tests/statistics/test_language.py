"""Metrics of texts are those of the libraries that papers compute them with."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import sacrebleu
from rouge_score import rouge_scorer
from seqeval.metrics import f1_score

from doubleloop.base import errors
from doubleloop.gates.checks import model_quality
from doubleloop.recipes.language import metrics, tagging
from doubleloop.statistics import language

WORDS = [
    "the",
    "dog",
    "bit",
    "a",
    "man",
    "3.5",
    "1,000",
    "e-mail",
    "(really)",
    "don't",
    "Größe",
    "«oui»",
    "&amp;",
    "x-1",
    "!",
]


def sentences(seed: int, count: int = 60) -> tuple[list[str], list[str]]:
    """Pairs that share some words; some are empty or short."""
    chance = random.Random(seed)
    one = [" ".join(chance.choices(WORDS, k=chance.randint(0, 12))) for _ in range(count)]
    two = [
        " ".join(
            word if chance.random() < 0.7 else chance.choice(WORDS) for word in text.split()[: chance.randint(0, 12)]
        )
        for text in one
    ]
    return one, two


@pytest.mark.parametrize("seed", range(6))
def test_translations_are_measured_as_sacrebleu_does(seed: int) -> None:
    truth, said = sentences(seed, 1 if seed == 5 else 60)
    other = sentences(seed + 100, len(truth))[0]
    assert language.bleu(truth, said) == pytest.approx(sacrebleu.corpus_bleu(said, [truth]).score)
    assert language.chrf(truth, said) == pytest.approx(sacrebleu.corpus_chrf(said, [truth]).score)
    both = [json.dumps(pair) for pair in zip(truth, other, strict=True)]
    assert language.bleu(both, said) == pytest.approx(sacrebleu.corpus_bleu(said, [truth, other]).score)
    assert language.chrf(both, said) == pytest.approx(sacrebleu.corpus_chrf(said, [truth, other]).score)


@pytest.mark.parametrize("seed", range(3))
def test_summaries_are_measured_as_rouge_score_does(seed: int) -> None:
    truth, said = sentences(seed)
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])
    found = [scorer.score(one, two) for one, two in zip(truth, said, strict=True)]
    for name, ours in (("rouge1", language.rouge1), ("rouge2", language.rouge2), ("rougeL", language.rougel)):
        assert ours(truth, said) == pytest.approx(sum(each[name].fmeasure for each in found) / len(found)), name


def test_entities_are_counted_as_seqeval_does() -> None:
    chance = random.Random(0)
    tags = ["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    one = [[chance.choice(tags) for _ in range(8)] for _ in range(80)]
    two = [[tag if chance.random() < 0.8 else chance.choice(tags) for tag in each] for each in one]
    text = "a b c d e f g h"
    tokens = [(word, 2 * place, 2 * place + 1) for place, word in enumerate(text.split())]
    truth, said = ([tagging.spans(text, tokens, each) for each in side] for side in (one, two))
    assert language.entity_f1(truth, said) == pytest.approx(f1_score(one, two))
    assert language.entity_f1(map(json.dumps, truth), said) == pytest.approx(f1_score(one, two))
    assert language.entity_f1([[]], [None]) == 0
    with pytest.raises(errors.InvalidInput, match="no list of entities"):
        language.entity_f1(["PER"], [[]])


def test_answers_are_measured_by_squads_definition() -> None:
    truth = ['["Denver Broncos", "Broncos"]', "Panthers", "gold", "the"]
    said = ["The Denver Broncos!", "Carolina Panthers defeated", None, "an"]
    assert language.exact_match(truth, said) == 0.5, "articles alone are nothing, and nothing equals nothing"
    assert language.token_f1(truth, said) == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    known = metrics.answers(
        [["Denver Broncos", "Broncos"], ["Panthers"], ["gold"], ["the"]], [each or "" for each in said]
    )
    assert language.token_f1(truth, said) == known["token_f1"]


@pytest.mark.parametrize(
    ("metric", "truth", "said", "value"),
    [
        ("entity_f1", ['[{"start": 0, "end": 3, "label": "PER"}]', "[]"],
         [[{"start": 0, "end": 3, "label": "PER", "text": "Ada"}], []], 1.0),
        ("exact_match", ["Paris", "Rome"], ["paris.", "Oslo"], 0.5),
        ("ROUGE-L", ["Is your name John"], ["My name is John"], 0.5),
    ],
)  # fmt: skip
def test_gates_judge_by_them(metric: str, truth: Any, said: Any, value: float) -> None:
    assert model_quality.score(metric, truth, said) == value
    assert model_quality.greater_is_better(metric)
    with pytest.raises(errors.InvalidInput, match="no prediction for 1 of"):
        model_quality.score(metric, truth, [None, *said[1:]])
