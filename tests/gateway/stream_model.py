"""A generator without torch: letters drawn by the three before them (Shannon 1948), written to a model of code alone.

This file is the model's code (``mlflow.pyfunc.save_model(python_model=THIS)``), so it imports nothing of the tests.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from mlflow import models, pyfunc

ORDER = 3
TEXT = (
    "the gateway checks each request against the signature of the model, routes it to a deployment, has it scored, "
    "writes it to the log, and only then answers; the model runs in a process of its own inside its own environment. "
)
PARAMS = {
    "max_new_tokens": 40, "seed": 0, "pause": 0.0, "wide": 1, "fail_after": -1, "die_after": -1, "note": "",
    "chat": False,
}  # fmt: skip


def learnt() -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for place in range(len(TEXT) - ORDER):
        counts[TEXT[place : place + ORDER]][TEXT[place + ORDER]] += 1
    return counts


class Letters(pyfunc.PythonModel):
    """``pause``: seconds before each letter, ``wide``: how often it is repeated, ``fail_after``, ``die_after``: letters
    until it raises, or its process ends, ``note``: a file that is appended to for each letter and when it is over."""

    def __init__(self) -> None:
        self._counts = learnt()

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> list[str]:
        return ["".join(self._letters(text, {**PARAMS, **(params or {})})) for text in model_input["text"]]

    def predict_stream(
        self, context: Any, model_input: dict[str, Any], params: dict[str, Any] | None = None
    ) -> Iterator[Any]:
        asked = {**PARAMS, **(params or {})}
        for letter in self._letters(model_input["text"], asked):
            yield {"choices": [{"delta": {"content": letter}}]} if asked["chat"] else letter

    def _letters(self, text: str, asked: dict[str, Any]) -> Iterator[str]:
        chance = random.Random(asked["seed"])
        try:
            for number in range(asked["max_new_tokens"]):
                if number == asked["fail_after"]:
                    raise ValueError(f"no letter follows '{text[-ORDER:]}'")
                if number == asked["die_after"]:
                    os._exit(9)
                time.sleep(asked["pause"])
                known = self._counts.get(text[-ORDER:]) or Counter(TEXT)
                letter = chance.choices(list(known), list(known.values()))[0]
                text += letter
                self._note(asked, letter)
                yield letter * asked["wide"]
        finally:
            self._note(asked, "!")

    def _note(self, asked: dict[str, Any], what: str) -> None:
        if asked["note"]:
            with open(asked["note"], "a") as file:
                file.write(what)


models.set_model(Letters())
