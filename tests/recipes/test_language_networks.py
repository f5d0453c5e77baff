"""Translation, generation and checkpoints as jobs run them, on small networks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import torches

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("language_cases.py")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``language_cases`` printed."""
    environment = torches.environment()
    environment["PYTHONPATH"] += os.pathsep + str(torches.beside("transformers~=5.24.0"))
    command = [sys.executable, str(SCRIPT), str(tmp_path_factory.mktemp("language"))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    answered: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answered


def test_a_translator_is_trained_from_nothing(found: dict[str, Any]) -> None:
    told = found["translation"]["told"]
    assert found["translation"]["code"][0] == 0, found["translation"]["code"]
    assert told["metrics"]["bleu"] > 40 > 5 > told["baseline"]["metrics"]["bleu"]
    said, empty = found["translation"]["said"]
    assert set(said.split()) <= {"rosso", "cane", "gatto", "grande", "vede", "il", "vecchio"} and "il" in said
    assert empty == ""


def test_a_checkpoint_is_judged_as_it_is(found: dict[str, Any]) -> None:
    assert found["translation"]["again"][0] == 0, found["translation"]["again"]
    assert found["translation"]["same"] == found["translation"]["told"]["metrics"]
    code, said = found["translation"]["none"]
    assert code == 65 and "without a checkpoint nothing would have learnt" in said


def test_translators_of_many_tasks_and_languages_are_told_which(found: dict[str, Any]) -> None:
    told = found["translation"]["others"]
    assert [code for code, _ in told["codes"]] == [0, 0, 65], told["codes"]
    assert "knows no language 'de_DE'" in told["codes"][2][1]
    assert told["how"] == [
        {"prefix": "translate English to Italian: ", "source": "", "language": ""},
        {"prefix": "", "source": "en_XX", "language": "it_IT"},
    ]
    assert told["read"] == "translate English to Italian: dog"
    assert (told["first"], told["long"]) == ("it_IT", 1)


def test_a_generator_writes_what_it_has_read_at_once_and_in_pieces(found: dict[str, Any]) -> None:
    generation = found["generation"]
    assert generation["code"][0] == 0, generation["code"]
    told = generation["told"]
    assert told["metrics"]["perplexity"] < 0.5 * told["baseline"]["metrics"]["perplexity"]
    assert told["metrics"]["bits_per_character"] < told["baseline"]["metrics"]["bits_per_character"]
    (said,) = generation["said"]
    assert said.strip().startswith("followed by number")
    assert "".join(generation["pieces"]) == said and len(generation["pieces"]) > 2
    assert generation["scorer"] == [True, generation["pieces"]]  # as an endpoint asks it
    assert generation["drawn"][0] == generation["drawn"][1] != generation["drawn"][2]
    assert len(generation["short"][0]) < len(said)


def test_checkpoints_answer_as_the_light_models_do(found: dict[str, Any]) -> None:
    told = found["checkpoints"]
    assert [code for code, _ in told["codes"]] == [0] * 4, told["codes"]
    assert told["class"][0] in ("neg", "pos") and told["class"][1] == pytest.approx(1)
    assert all(set(each) == {"start", "end", "label", "text"} for each in told["entities"])
    assert len(told["tags"]) == 3 and set(told["tags"]) <= {"O", "B-PER", "I-PER"}
    assert told["answer"]["prediction"] in "Ada went to Paris. He left." and 0 < told["answer"]["score"] <= 1
    assert told["vector"] == 16


def test_checkpoints_that_know_nothing_of_a_task_are_fine_tuned_to_it(found: dict[str, Any]) -> None:
    told = found["fine_tuned"]
    assert {name: each["code"] for name, each in told.items()} == {
        **dict.fromkeys(("mood", "again", "gpt-mood", "long", "people", "who"), 0), "no-head": 65, "vision": 65
    }, told  # fmt: skip
    for name in ("mood", "gpt-mood"):  # an encoder without a head; one that writes, and has nothing to pad with
        metrics, baseline = (of["metrics"] for of in (told[name]["told"], told[name]["told"]["baseline"]))
        assert metrics["accuracy"] > 0.9 > 0.6 > baseline["accuracy"]
    # What was fine-tuned is a checkpoint, which says the same when it is judged as it is.
    assert told["again"]["told"]["metrics"] == told["mood"]["told"]["metrics"]
    people = told["people"]["told"]
    # In pieces of bytes; no name of the sentences to judge by is among those to learn from.
    assert people["metrics"]["entity_f1"] > 0.9 > 0.1 > people["baseline"]["metrics"]["entity_f1"]
    assert told["who"]["told"]["metrics"]["exact_match"] > 0.9 and told["who"]["said"] == "Eve"
    rows = told["who"]["told"]["rows"]
    assert rows["train"] + rows["test"] == 120 and rows["test"] < 40
    assert "fine-tune it to yours: epochs: 3" in told["no-head"]["error"]
    assert "cannot be opened as AutoModelForSequenceClassification" in told["vision"]["error"]
