"""Every way to the sums of trees gives those of scikit-learn's own ``predict``, to the last bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import onnx
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from xgboost import XGBClassifier, XGBRegressor

from doubleloop import scorer
from doubleloop.scorer import kit
from doubleloop.scorer.plans import bits, ensembles, estimators, onnx_file, runtime, trees, ways
from doubleloop.scorer.plans.steps import NotPlanned

ROWS = 300
SHALLOW = {"max_depth": 4, "random_state": 0}
# The last word says whether values may be missing.
MODELS = {
    "boosting": (GradientBoostingRegressor(n_estimators=20, random_state=0), "predict", False),
    "boosted classes": (GradientBoostingClassifier(n_estimators=6, random_state=0), "predict", False),
    "forest": (RandomForestRegressor(9, **SHALLOW), "predict", True),
    "deep forest": (RandomForestRegressor(9, random_state=0), "predict", True),
    "classes of a forest": (RandomForestClassifier(9, **SHALLOW), "predict", True),
    "shares of a forest": (RandomForestClassifier(9, **SHALLOW), "predict_proba", True),
    "extra trees": (ExtraTreesRegressor(9, **SHALLOW), "predict", False),
    "histograms": (HistGradientBoostingRegressor(max_iter=20, max_depth=5), "predict", True),
    "deep histograms": (HistGradientBoostingRegressor(max_iter=9), "predict", True),
    "lightgbm": (LGBMRegressor(n_estimators=9, num_leaves=8, max_depth=5, verbose=-1), "predict", True),
    "deep lightgbm": (LGBMRegressor(n_estimators=9, num_leaves=60, min_child_samples=2, verbose=-1), "predict", False),
    "classes of lightgbm": (LGBMClassifier(n_estimators=5, max_depth=3, verbose=-1), "predict", True),
    "xgboost": (XGBRegressor(n_estimators=9, max_depth=5, n_jobs=1), "predict", True),
    "two classes of xgboost": (XGBClassifier(n_estimators=5, max_depth=3, n_jobs=1), "predict", True),
    "classes of histograms": (HistGradientBoostingClassifier(max_iter=5, max_depth=3), "predict", True),
}  # fmt: skip


def table(seed: int, missing: bool) -> numpy.ndarray:
    draw = numpy.random.default_rng(seed)
    found = numpy.concatenate([draw.normal(0, 3, (ROWS, 4)), draw.integers(0, 3, (ROWS, 2))], axis=1)
    return numpy.where(draw.random(found.shape) < 0.15, numpy.nan, found) if missing else found


def fitted(name: str) -> tuple[Any, str, numpy.ndarray]:
    """The model, how it is asked, and rows that it has not seen."""
    model, method, missing = MODELS[name]
    seen = table(1, missing)
    target = numpy.nan_to_num(seen[:, 0]) * 2 + numpy.nan_to_num(seen[:, 4]) ** 2
    model.fit(
        seen, numpy.digitize(target, [0] if "two" in name else [0, 2]) if hasattr(model, "predict_proba") else target
    )
    return model, method, table(2, missing)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes one way the only one beside the library's, and the quickest."""

    def choose(name: str) -> None:
        monkeypatch.setattr(ways, "_timed", lambda known, rows: [(1, name, known[name])])

    return choose


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("way", [ways.RUNTIME, ways.BITS])
def test_a_way_says_what_scikit_learn_says(name: str, way: str, only: Any) -> None:
    model, method, rows = fitted(name)
    only(ways.LIBRARY if way == ways.BITS and "deep" in name else way)
    made = estimators.plan(model, method)
    assert made.told is not None and ("not_" + way not in made.told or "levels" in made.told["not_bits"])
    expected = getattr(model, method)(rows)
    for given in (rows, numpy.asfortranarray(rows), rows[:1], rows[:13]):
        numpy.testing.assert_array_equal(made.step.run(given), expected[: len(given)])


def grown(name: str) -> trees.Trees:
    model, _, _ = fitted(name)
    known = [trees.of_sklearn(each.tree_) for each in model.estimators_]
    return trees.Trees(known, [0] * len(known), numpy.zeros(1), numpy.float32)


def test_trees_are_written_as_a_valid_onnx_model() -> None:
    known = grown("deep forest")
    model = onnx.load_from_string(onnx_file.model(known))
    onnx.checker.check_model(model, full_check=True)
    (node,) = model.graph.node
    told = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    assert (node.op_type, told["n_targets"], len(told["tree_roots"])) == ("TreeEnsemble", 1, 10)
    inner = sum(len(tree.inner()) for tree in known.trees)
    assert len(told["nodes_featureids"]) == inner + 1 and inner > 1000
    assert onnx.numpy_helper.to_array(told["nodes_splits"]).dtype == numpy.float64


def test_numbers_are_written_as_protobuf_has_them() -> None:
    numbers = [0, 1, 127, 128, 300, 2**14, 2**35 - 1]
    written = onnx.AttributeProto(ints=numbers, name="n", type=onnx.AttributeProto.INTS)
    read = onnx.AttributeProto.FromString(onnx_file._attribute("n", numpy.array(numbers)))
    assert read == written


def test_deep_trees_are_not_laid_out_as_bits() -> None:
    with pytest.raises(NotPlanned, match="levels"):
        bits.Bits(grown("deep forest"))


def test_a_way_that_differs_in_the_last_bit_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    known = grown("forest")
    model, _, _ = fitted("forest")

    class Off(bits.Bits):
        def scores(self, matrix: Any) -> Any:
            return numpy.nextafter(super().scores(matrix), numpy.inf)

    monkeypatch.setattr(ways, "Bits", Off)
    library = lambda matrix: sum(each.tree_.predict(matrix.astype("float32")) for each in model.estimators_)  # noqa: E731
    told = ways.Ways(library, known).told
    assert "last bit" in told["not_bits"] and "bits" not in told["by_rows"].values()


def test_without_onnx_runtime_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(kit, "_kits", "")
    made = ensembles.boosting(fitted("boosting")[0], "predict")
    assert made is not None and made.told is not None
    assert "it is not in the environment" in made.told["not_onnxruntime"]
    with pytest.raises(NotPlanned, match="cannot be imported"):
        runtime.session(b"")


def test_a_file_that_is_no_model_is_refused() -> None:
    with pytest.raises(NotPlanned, match=r"ONNX Runtime [0-9.]+ does not load it"):
        runtime.session(b"no model")


ASK = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("kit", sys.argv[1])
kit = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kit)
kit.offer(sys.argv[2])
try:
    print(kit.onnxruntime().SAID, sys.path[-1])
except ImportError as error:
    print(error)
"""


def test_what_the_user_has_goes_before_the_kit(tmp_path: Path) -> None:
    """In a Python that has no packages."""
    kits = tmp_path / "kits"
    place = kits / kit.name(sys.version_info)

    def said(*, own: str = "") -> str:
        code = f"import sys; sys.path.insert(0, {own!r})\n{ASK}" if own else ASK
        source = str(Path(scorer.__file__).parent / "kit.py")
        done = subprocess.run(
            [sys.executable, "-S", "-I", "-c", code, source, str(kits)], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert said() == "it is not in the environment, and there is no serving kit for Python {}.{}".format(
        *sys.version_info[:2]
    )
    kits.mkdir()
    (kits / (place.name + kit.FAILED)).write_text("the index does not answer")
    assert said().endswith("the serving kit could not be installed: the index does not answer")
    for folder, text in ((place, "the kit's"), (tmp_path / "own", "the user's")):
        (folder / "onnxruntime").mkdir(parents=True)
        (folder / "onnxruntime" / "__init__.py").write_text(f"SAID = {text!r}\n")
    assert said() == f"the kit's {place}"
    assert said(own=str(tmp_path / "own")).startswith("the user's")
