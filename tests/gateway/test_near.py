"""Plans that the gateway itself answers by: while scorers stand still, when they disagree, from files that lie."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy
import pandas
import pytest
from gateway_harness import Gateway, deployment, endpoint, wait_for
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from doubleloop.base import errors
from doubleloop.gateway import near
from doubleloop.scorer.plans import finishes, portable, steps, trees

KEY = "shop/rides"


@pytest.fixture(scope="module")
def rides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, pandas.DataFrame]:
    draw = numpy.random.default_rng(5)
    frame = pandas.DataFrame({"hour": draw.uniform(0, 24, 300), "heat": draw.normal(15, 8, 300)})
    model = make_pipeline(SimpleImputer(), GradientBoostingRegressor(n_estimators=20))
    model.fit(frame, frame["hour"] * 3 + frame["heat"])
    frame.loc[3, "heat"] = None
    folder = tmp_path_factory.mktemp("rides") / "model"
    signature = mlflow.models.infer_signature(frame, model.predict(frame))
    mlflow.sklearn.save_model(
        model, str(folder), signature=signature, serialization_format="cloudpickle", pip_requirements=["scikit-learn"]
    )
    return folder, model, frame


@contextlib.contextmanager
def standing_still(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def body(frame: pandas.DataFrame) -> dict[str, Any]:
    return {"input_data": json.loads(frame.to_json(orient="split"))}


def told(gateway: Gateway) -> Any:
    description = gateway.status().endpoints[KEY].deployments["blue"].description
    return (description or {})["plan"].get("near")


def test_a_few_rows_are_answered_without_a_scorer_and_many_by_one(
    gateway: Gateway, rides: tuple[Path, Any, pandas.DataFrame]
) -> None:
    folder, model, frame = rides
    blue = deployment("dep-1", folder, request_timeout_ms=20_000)
    gateway.start().want({KEY: endpoint({"blue": blue})})
    rows = wait_for(lambda: told(gateway), "the plan to come near")["rows"]
    assert rows >= 1
    client = gateway.client()
    with standing_still(gateway.scorers()):
        for part in (frame[:1], frame[3:4], frame[:rows]):
            answer = client.score(KEY, body(part))
            assert answer.status == 200
            numpy.testing.assert_allclose(answer.json, model.predict(part), rtol=1e-9)
        assert client.score(KEY, {"input_data": [["noon", 1.0]]}).status == 400
    many = client.score(KEY, body(frame))
    numpy.testing.assert_allclose(many.json, model.predict(frame), rtol=1e-9)
    counted = gateway.status().endpoints[KEY].deployments["blue"]
    assert counted.counters.requests == 5 and counted.counters.client_errors == 1


def test_requests_that_come_together_are_answered_as_each_alone(
    gateway: Gateway, rides: tuple[Path, Any, pandas.DataFrame]
) -> None:
    """Sent down one connection without waiting, they are read in one turn."""
    folder, model, frame = rides
    gateway.start().want({KEY: endpoint({"blue": deployment("dep-1", folder)})})
    wait_for(lambda: told(gateway), "the plan to come near")
    found = gateway.status().endpoints[KEY].deployments["blue"].description
    assert found is not None
    plan = near.load(gateway.home, found["plan"]["portable"]["file"])
    batches: list[int] = []
    plan.batched = batches.append

    async def together() -> list[bytes | None]:
        asked = []
        for row in range(12):
            values = frame.iloc[row].tolist()
            missing = any(value != value for value in values)
            columns = [[None if value != value else value] for value in values]
            asked.append(plan.answer(columns, 1, missing))
        return await asyncio.gather(*asked)

    answers = [json.loads(each or b"null")[0] for each in asyncio.run(together())]
    numpy.testing.assert_allclose(answers, model.predict(frame[:12]), rtol=1e-12)
    assert sum(batches) == 12 and 1 in batches and max(batches) > 1, batches


def test_a_row_that_the_plan_does_not_cover_is_a_scorers() -> None:
    refusing = near.Near(lambda columns: (_ for _ in ()).throw(steps.OutOfPlan("another")), 4)
    assert asyncio.run(refusing.answer([[1.0]], 1, False)) is None


def _trees(left: list[int], feature: list[int]) -> trees.Trees:
    count = len(left)
    right = [child + 1 if child > 0 else child for child in left]
    tree = trees.Tree(
        numpy.array(left), numpy.array(right), numpy.array(feature), numpy.zeros(count), numpy.zeros(count, bool),
        numpy.ones((count, 1)),
    )  # fmt: skip
    return trees.Trees([tree], [0], numpy.zeros(1), numpy.float64)


def _written(folder: Path, change: Any = None) -> Path:
    file = folder / "plan.npz"
    chain = steps.Chain([finishes.Linear(numpy.array([2.0]), 1.0)])
    portable.write(str(file), chain, [([[1.0], [2.0]], numpy.zeros(1))])
    if change is not None:
        with numpy.load(file) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        plan = change(json.loads(found["plan"].tobytes()))
        found["plan"] = numpy.frombuffer(json.dumps(plan).encode(), dtype=numpy.uint8)
        numpy.savez(file, **found)
    return file


def _other_part(plan: Any) -> Any:
    plan["chain"]["of"]["steps"][0]["part"] = "Popen"
    return plan


LIES = {
    "another format": (lambda plan: {**plan, "format": 99}, "format 99"),
    "a class that is no part of a plan": (_other_part, "Popen"),
    "other answers": (None, "otherwise here"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_file_that_is_no_plan_of_this_model_is_not_used(name: str, tmp_path: Path) -> None:
    change, why = LIES[name]
    with pytest.raises(errors.InvalidInput, match=why):
        near.load(tmp_path, str(_written(tmp_path, change)))


def test_a_file_that_is_no_plan_is_not_used(tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04", b"\x80\x04cos\nsystem\n"):
        (tmp_path / "plan.npz").write_bytes(content)
        with pytest.raises(errors.InvalidInput, match="cannot be read"):
            near.load(tmp_path, str(tmp_path / "plan.npz"))
    with pytest.raises(errors.InvalidInput, match="cannot be read"):
        near.load(tmp_path, str(tmp_path / "none.npz"))


@pytest.mark.parametrize(
    ("left", "feature", "why"), [([0, -1, -1], [0, 0, 0], "order"), ([1, -1, -1], [-5, 0, 0], "other features")]
)
def test_trees_in_which_a_walk_would_not_end_are_not_walked(left: list[int], feature: list[int], why: str) -> None:
    with pytest.raises(steps.NotPlanned, match=why):
        portable.Summed(_trees(left, feature))


def test_trees_are_not_given_fewer_columns_than_they_ask_for() -> None:
    summed = portable.Summed(_trees([1, -1, -1], [3, 0, 0]))
    assert summed.run(numpy.zeros((2, 4))).tolist() == [[1.0], [1.0]]
    with pytest.raises(steps.OutOfPlan, match="2 columns for trees of 4"):
        summed.run(numpy.zeros((1, 2)))
