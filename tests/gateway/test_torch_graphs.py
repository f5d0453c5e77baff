"""Models of torch as graphs of ONNX, in an environment with the processor's build of torch; without one, skipped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
import scipy.special

import torches

SCRIPT = Path(__file__).with_name("torch_models.py")
CASES = ["images", "exported images", "words", "sequences", "columns"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``torch_models`` printed."""
    command = [sys.executable, str(SCRIPT), str(tmp_path_factory.mktemp("models")), ""]
    done = subprocess.run(command, capture_output=True, text=True, env=torches.environment())
    assert done.returncode == 0, done.stderr
    answered: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answered


def numbers(answer: Any) -> numpy.ndarray:
    return numpy.array([list(row.values()) if isinstance(row, dict) else row for row in answer], dtype=float)


@pytest.mark.parametrize("name", CASES)
def test_a_model_of_torch_answers_as_a_graph(found: dict[str, Any], name: str) -> None:
    case = found[name]
    assert case["plan"]["used"] and case["plan"]["graph"] == "torch", case["plan"]
    assert 0 <= case["plan"]["largest_difference"] <= case["plan"]["tolerance"] == 1e-5
    numpy.testing.assert_allclose(numbers(case["planned"]), numbers(case["native"]), atol=1e-5)
    assert case["reviewed"] is None
    for each in case["together"]:
        numpy.testing.assert_allclose(numbers(each), numbers(case["native"]), atol=1e-5)
    assert case["off"] == case["native"] and case["off_plan"] == {"used": False, "why": "compile: off"}


@pytest.mark.parametrize("name", CASES)
def test_it_is_exported_once_for_all_scorers_of_a_deployment(found: dict[str, Any], name: str) -> None:
    assert found[name]["kept"] == [f"torch-{torches.VERSION}.onnx"]
    assert found[name]["again"]["used"]


def test_what_a_graph_cannot_say_is_answered_by_torch(found: dict[str, Any]) -> None:
    branching, unknown = found["branching"], found["no onnx"]
    assert not branching["plan"]["used"] and "does not agree" in branching["plan"]["why"]
    assert branching["planned"] == [[0.0, 1.0, 2.0], [-10.0, 0.0, 0.0]], "the sum is -1"
    assert not unknown["plan"]["used"] and "torch does not export it" in unknown["plan"]["why"]
    numpy.testing.assert_allclose(unknown["planned"], scipy.special.j0([[1, 2, 3], [0.5, 1, 1]]), atol=1e-6)
