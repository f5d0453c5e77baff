"""counterfactual: whether a model of texts answers otherwise when terms of groups change places.

Each text with a term is asked again with that term's counterpart ("he" becomes "she", "she" becomes "he"). What a text
says but for the group stays, so a changed answer is the group's doing (counterfactual token fairness; Garg et al. 2019,
*Counterfactual Fairness in Text Classification through Robustness*).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from doubleloop.base import errors, verdicts

MIN_ROWS = 30
NAMED = 5


def swapped(text: str, pairs: Sequence[Sequence[str]]) -> str:
    """``text`` with each term of ``pairs`` as its counterpart, whole words only, in the case that it had."""
    other: dict[str, str] = {}
    for one, two in pairs:
        other |= {one.lower(): two, two.lower(): one}
    words = "|".join(sorted(map(re.escape, other), key=len, reverse=True))

    def put(found: re.Match[str]) -> str:
        said, new = found[0], other[found[0].lower()]
        if said.isupper() and len(said) > 1:
            return new.upper()
        return new[:1].upper() + new[1:] if said[:1].isupper() else new

    return re.sub(rf"(?<!\w)(?:{words})(?!\w)", put, text, flags=re.IGNORECASE)


def check_pairs(pairs: Sequence[Sequence[str]]) -> None:
    """Raises InvalidInput for pairs that are none, or a term that has two counterparts."""
    known: set[str] = set()
    for pair in pairs:
        if len(pair) != 2 or not all(each.strip() for each in pair) or pair[0].lower() == pair[1].lower():
            raise errors.InvalidInput(
                f"{list(pair)} is no pair of terms", cure="Write swap: [[he, she], [man, woman]]."
            )
        for term in pair:
            if term.lower() in known:
                raise errors.InvalidInput(f"'{term}' has two counterparts", cure="Name each term in one pair.")
            known.add(term.lower())


def measure(
    texts: Sequence[str], changed: Sequence[str], before: Sequence[Any], after: Sequence[Any]
) -> dict[str, Any]:
    """``texts`` with a term and ``changed`` with its counterpart; what the model answered to each."""
    flips = [row for row, (one, two) in enumerate(zip(before, after, strict=True)) if one != two]
    examples = [
        {"text": texts[row][:300], "changed": changed[row][:300], "before": before[row], "after": after[row]}
        for row in flips[:NAMED]
    ]
    return {"rows": len(texts), "changed": len(flips), "examples": examples}


def judge(check: Mapping[str, Any], measurements: Mapping[str, Any]) -> verdicts.Verdict:
    """``check``: at_most (share), min_rows. ``measurements``: rows with a term, changed answers, examples, error."""
    rows, changed = measurements["rows"], measurements["changed"]
    least = check.get("min_rows") or MIN_ROWS
    if rows < least:
        return verdicts.not_checked(f"{rows} texts have a term, fewer than {least}, so their share would say little")
    share = changed / rows
    said = f"{changed} of {rows} answers ({share:.2%}) change with the term, must be at most {check['at_most']:.2%}"
    if share <= check["at_most"]:
        return verdicts.passed(said)
    shown = [f"'{each['before']}' became '{each['after']}' for: {each['changed']}" for each in measurements["examples"]]
    return verdicts.failed(said, *shown)
