"""Metrics of texts: entities, translations, summaries, answers. Pure Python; tests hold each against the library that
papers compute it with (seqeval, sacrebleu, rouge-score, and SQuAD's script).

A true value is a text, a list of texts of which each is right, or, of entities, a list of ``{start, end, label}``;
lists may be JSON texts, as tables of texts hold them. Missing predictions are empty texts or no entities.
"""

from __future__ import annotations

import json
import math
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from doubleloop.base import errors

METRICS = ("bleu", "chrf", "entity_f1", "exact_match", "rouge1", "rouge2", "rougel", "token_f1")

_ORDER = 4  # of BLEU
_CHARS, _BETA = 6, 2  # of chrF2
_PUNCTUATION = set(string.punctuation)
_13A = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def entity_f1(truth: Iterable[Any], predicted: Iterable[Any]) -> float:
    """F1 (micro) of whole spans with their label, as conlleval counts them. 0 where there is no entity at all."""
    right = said = wanted = 0
    for one, two in zip(truth, predicted, strict=True):
        there, found = Counter(_spans(one)), Counter(_spans(two))
        right, said, wanted = right + (there & found).total(), said + found.total(), wanted + there.total()
    return 2 * right / (said + wanted) if said + wanted else 0.0


def _spans(value: Any) -> list[tuple[int, int, str]]:
    found = _parsed(value)
    try:
        return [(int(each["start"]), int(each["end"]), str(each["label"])) for each in found or ()]
    except (TypeError, KeyError, ValueError) as error:
        raise errors.InvalidInput(
            f"{str(value)[:80]!r} is no list of entities", cure='Write [{"start": 0, "end": 3, "label": "PER"}].'
        ) from error


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value.to_list() if hasattr(value, "to_list") else value


def _references(value: Any) -> list[str]:
    found = _parsed(value)
    return [str(each) for each in found] if isinstance(found, list) and found else [str(found or "")]


def bleu(truth: Sequence[Any], predicted: Sequence[Any]) -> float:
    """Corpus BLEU, 0 to 100 (Papineni et al. 2002), as sacrebleu's default: 13a tokens, exponential smoothing (Chen and
    Cherry 2014, method 3), the reference nearest in length."""
    correct, total = [0] * _ORDER, [0] * _ORDER
    length = reference = 0
    for one, two in zip(truth, predicted, strict=True):
        said, wanted = _tokens_13a(str(two or "")), [_tokens_13a(each) for each in _references(one)]
        length += len(said)
        reference += min((abs(len(each) - len(said)), len(each)) for each in wanted)[1]
        for size in range(_ORDER):
            counts = Counter(_grams(said, size + 1))
            most: Counter[tuple[str, ...]] = Counter()
            for each in wanted:
                most |= Counter(_grams(each, size + 1))
            correct[size] += (counts & most).total()
            total[size] += counts.total()
    return _bleu(correct, total, length, reference)


def _bleu(correct: list[int], total: list[int], length: int, reference: int) -> float:
    if not any(correct) or not all(total):
        return 0.0
    smooth, logs = 1.0, 0.0
    for right, whole in zip(correct, total, strict=True):
        if not right:
            smooth *= 2
        logs += math.log(right / whole if right else 1 / (smooth * whole))
    brief = min(1.0, math.exp(1 - reference / length))
    return 100 * brief * math.exp(logs / _ORDER)


def _tokens_13a(text: str) -> list[str]:
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, sign in (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
        text = text.replace(entity, sign)
    text = f" {text} "
    for pattern, put in _13A:
        text = pattern.sub(put, text)
    return text.split()


def _grams(tokens: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(tokens[place : place + size]) for place in range(len(tokens) - size + 1)]


def chrf(truth: Sequence[Any], predicted: Sequence[Any]) -> float:
    """Corpus chrF2, 0 to 100 (Popović 2015), as sacrebleu's default: characters 1 to 6 without white space, beta 2; of
    several references the best."""
    sums = [[0, 0, 0] for _ in range(_CHARS)]
    for one, two in zip(truth, predicted, strict=True):
        said = _characters(str(two or ""))
        all_ = [_overlaps(said, _characters(each)) for each in _references(one)]
        best = max(all_, key=_f_score)
        for place, counts in enumerate(best):
            sums[place] = [a + b for a, b in zip(sums[place], counts, strict=True)]
    return 100 * _f_score(sums)


def _characters(text: str) -> list[Counter[str]]:
    plain = "".join(text.split())
    sizes = range(1, _CHARS + 1)
    return [Counter(plain[place : place + size] for place in range(len(plain) - size + 1)) for size in sizes]


def _overlaps(said: list[Counter[str]], wanted: list[Counter[str]]) -> list[list[int]]:
    pairs = zip(said, wanted, strict=True)
    return [[one.total() if two else 0, two.total(), (one & two).total()] for one, two in pairs]


def _f_score(counts: list[list[int]]) -> float:
    both = [(match / said, match / wanted) for said, wanted, match in counts if said and wanted]
    precision = sum(each for each, _ in both) / len(both) if both else 0.0
    recall = sum(each for _, each in both) / len(both) if both else 0.0
    weight = _BETA**2
    whole = weight * precision + recall
    return (1 + weight) * precision * recall / whole if whole else 0.0


def rouge1(truth: Sequence[Any], predicted: Sequence[Any]) -> float:
    """Mean F of shared words (Lin 2004), as rouge-score without stemming; of several references the best."""
    return _mean(truth, predicted, lambda one, two: _rouge_n(one, two, 1))


def rouge2(truth: Sequence[Any], predicted: Sequence[Any]) -> float:
    """As ``rouge1``, of pairs of words."""
    return _mean(truth, predicted, lambda one, two: _rouge_n(one, two, 2))


def rougel(truth: Sequence[Any], predicted: Sequence[Any]) -> float:
    """As ``rouge1``, of the longest common subsequence of words."""
    return _mean(truth, predicted, _rouge_l)


def exact_match(truth: Sequence[Any], predicted: Sequence[Any]) -> float:
    """Share of answers that are a true one but for case, punctuation, articles and white space (Rajpurkar et al. 2016,
    section 6.1)."""
    return _mean(truth, predicted, lambda one, two: float(_squad(one) == _squad(two)))


def token_f1(truth: Sequence[Any], predicted: Sequence[Any]) -> float:
    """Mean F of the words that answer and truth share, by SQuAD's definition."""
    return _mean(truth, predicted, _token_f1)


def _mean(truth: Sequence[Any], predicted: Sequence[Any], score: Callable[[str, str], float]) -> float:
    found = [
        max(score(each, str(two or "")) for each in _references(one))
        for one, two in zip(truth, predicted, strict=True)
    ]  # fmt: skip
    return sum(found) / len(found)


def _words(text: str) -> list[str]:
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).split()


def _rouge_n(truth: str, said: str, size: int) -> float:
    one, two = (Counter(_grams(_words(each), size)) for each in (truth, said))
    return _f1((one & two).total(), one.total(), two.total())


def _rouge_l(truth: str, said: str) -> float:
    one, two = _words(truth), _words(said)
    row = [0] * (len(two) + 1)
    for word in one:
        before = row
        row = [0]
        for place, other in enumerate(two):
            row.append(before[place] + 1 if word == other else max(before[place + 1], row[place]))
    return _f1(row[-1], len(one), len(two))


def _squad(text: str) -> str:
    plain = "".join(each for each in text.lower() if each not in _PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", plain).split())


def _token_f1(truth: str, said: str) -> float:
    one, two = _squad(truth).split(), _squad(said).split()
    if not one or not two:
        return float(one == two)
    return _f1((Counter(one) & Counter(two)).total(), len(one), len(two))


def _f1(right: int, wanted: int, said: int) -> float:
    return 2 * right / (wanted + said) if right else 0.0
