"""The tasks' standard metrics, each by the library that papers compute it with, or held against it in tests.

All are shares between 0 and 1 but BLEU and chrF (0 to 100, as sacrebleu and papers give them) and perplexity.
"""

from __future__ import annotations

import collections
import math
import re
import string
from collections.abc import Sequence
from typing import Any

import numpy
from sklearn import metrics as sklearn_metrics

_ARTICLES = re.compile(r"\b(a|an|the)\b")


def classes(truth: Sequence[str], found: Sequence[str]) -> dict[str, float]:
    """accuracy, macro_f1 and weighted_f1; a label that is only guessed counts in the macro average with 0."""
    told = {"accuracy": sklearn_metrics.accuracy_score(truth, found)}
    for average in ("macro", "weighted"):
        told[f"{average}_f1"] = sklearn_metrics.f1_score(truth, found, average=average, zero_division=0)
    return {name: float(value) for name, value in told.items()}


def log_loss(truth: Sequence[str], shares: Any, names: Sequence[str]) -> float:
    """``shares``: (rows, classes) in the order of ``names``. A true label that the model does not know has share 0,
    taken as the smallest float64 step (as scikit-learn does)."""
    place = {name: number for number, name in enumerate(names)}
    said = numpy.asarray(shares, dtype=float)
    right = numpy.array([said[row, place[name]] if name in place else 0.0 for row, name in enumerate(truth)])
    return float(-numpy.log(numpy.clip(right, numpy.finfo(float).eps, 1)).mean())


def tags(truth: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> dict[str, float]:
    """accuracy and macro_f1 over all tokens."""
    flat = [tag for tags in truth for tag in tags], [tag for tags in found for tag in tags]
    told = classes(*flat)
    return {"accuracy": told["accuracy"], "macro_f1": told["macro_f1"]}


def entities(truth: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> dict[str, float]:
    """Precision, recall and F1 (micro) of whole spans with their type, as conlleval counts them (seqeval)."""
    from seqeval import metrics as seqeval_metrics

    one, two = [list(tags) for tags in truth], [list(tags) for tags in found]
    return {
        "entity_precision": float(seqeval_metrics.precision_score(one, two, zero_division=0)),
        "entity_recall": float(seqeval_metrics.recall_score(one, two, zero_division=0)),
        "entity_f1": float(seqeval_metrics.f1_score(one, two, zero_division=0)),
    }


def translations(truth: Sequence[Sequence[str]], found: Sequence[str]) -> dict[str, float]:
    """Corpus BLEU and chrF2 of sacrebleu with its own defaults (13a tokens, exponential smoothing). ``truth``: the
    references of each sentence, as many of each."""
    import sacrebleu

    references = [list(each) for each in zip(*truth, strict=True)]
    return {
        "bleu": float(sacrebleu.corpus_bleu(list(found), references).score),
        "chrf": float(sacrebleu.corpus_chrf(list(found), references).score),
    }


def summaries(truth: Sequence[str], found: Sequence[str]) -> dict[str, float]:
    """Mean F-measures of ROUGE-1, ROUGE-2 and ROUGE-L (rouge-score, without stemming)."""
    from rouge_score import rouge_scorer

    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    scores = [scorer.score(one, two) for one, two in zip(truth, found, strict=True)]
    return {name.lower(): float(numpy.mean([each[name].fmeasure for each in scores])) for name in scorer.rouge_types}


def answers(truth: Sequence[Sequence[str]], found: Sequence[str]) -> dict[str, float]:
    """exact_match and token_f1, the best over each question's true answers (Rajpurkar et al. 2016, SQuAD, section
    6.1): without case, punctuation, articles and further white space."""
    exact = [max(float(_squad(one) == _squad(said)) for one in each) for each, said in zip(truth, found, strict=True)]
    shared = [max(_token_f1(one, said) for one in each) for each, said in zip(truth, found, strict=True)]
    return {"exact_match": float(numpy.mean(exact)), "token_f1": float(numpy.mean(shared))}


def _squad(text: str) -> str:
    plain = "".join(each for each in text.lower() if each not in string.punctuation)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def _token_f1(truth: str, found: str) -> float:
    one, two = _squad(truth).split(), _squad(found).split()
    if not one or not two:
        return float(one == two)
    common = sum((collections.Counter(one) & collections.Counter(two)).values())
    return 2 * common / (len(one) + len(two))


def phrases(truth: Sequence[Sequence[str]], found: Sequence[Sequence[str]], at: int = 10) -> dict[str, float]:
    """Precision, recall and F1 of the first ``at`` phrases, each the mean over texts; case does not count.

    As in Hasan and Ng 2014 (*Automatic Keyphrase Extraction*): exact match, precision by the phrases that were given.
    """
    precision, recall = [], []
    for one, two in zip(truth, found, strict=True):
        wanted, said = {each.casefold() for each in one}, [each.casefold() for each in two][:at]
        right = len(wanted.intersection(said))
        precision.append(right / len(said) if said else 0.0)
        recall.append(right / len(wanted))
    p, r = float(numpy.mean(precision)), float(numpy.mean(recall))
    return {f"precision_at_{at}": p, f"recall_at_{at}": r, f"f1_at_{at}": 2 * p * r / (p + r) if p + r else 0.0}


def perplexity(losses: Sequence[float], counts: Sequence[int]) -> float:
    """exp of the mean negative log-likelihood a token; ``losses`` are sums in nats, ``counts`` numbers of tokens."""
    return math.exp(sum(losses) / sum(counts))
