"""Terms change places in texts, and answers that change with them keep a gate shut."""

from __future__ import annotations

import pytest

from doubleloop.base import errors, verdicts
from doubleloop.gates.checks import counterfactual

PAIRS = [["he", "she"], ["his", "her"], ["man", "woman"], ["New York", "Cairo"]]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("He said the woman is HERE.", "She said the man is HERE."),
        ("HE and his dog, she and Her cat", "SHE and her dog, he and His cat"),
        ("The theme of New York", "The theme of Cairo"),
        ("Cairo's manor", "New York's manor"),
        ("nobody", "nobody"),
    ],
)
def test_whole_words_change_places_in_their_case(text: str, wanted: str) -> None:
    assert counterfactual.swapped(text, PAIRS) == wanted
    assert counterfactual.swapped(wanted, PAIRS) == text


@pytest.mark.parametrize(
    ("pairs", "said"),
    [([["he"]], "no pair"), ([["he", "He"]], "no pair"), ([["he", "she"], ["She", "they"]], "two counterparts")],
)
def test_pairs_that_are_none_are_refused(pairs: list[list[str]], said: str) -> None:
    with pytest.raises(errors.InvalidInput, match=said):
        counterfactual.check_pairs(pairs)


def test_the_share_of_changed_answers_decides() -> None:
    texts = [f"he is number {number}" for number in range(40)]
    changed = [counterfactual.swapped(text, PAIRS) for text in texts]
    found = counterfactual.measure(texts, changed, ["a"] * 40, ["b"] * 2 + ["a"] * 38)
    assert (found["rows"], found["changed"], len(found["examples"])) == (40, 2, 2)
    good = counterfactual.judge({"at_most": 0.05}, found)
    bad = counterfactual.judge({"at_most": 0.04}, found)
    assert good.outcome is verdicts.Outcome.PASSED and bad.outcome is verdicts.Outcome.FAILED
    assert "2 of 40 answers (5.00%)" in bad.reasons[0] and "she is number 0" in bad.reasons[1]
    few = counterfactual.judge({"at_most": 0, "min_rows": 41}, found)
    assert few.outcome is verdicts.Outcome.NOT_CHECKED and "fewer than 41" in few.reasons[0]
