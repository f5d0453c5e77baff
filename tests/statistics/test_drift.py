"""The five drift metrics agree with scipy on Azure's definitions, and say something sensible at the edges."""

from __future__ import annotations

import math
import warnings

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from doubleloop.base import errors
from doubleloop.statistics import columns, drift, kolmogorov
from doubleloop.statistics import samples as samples_of

# The scenarios of azureml-assets' own unit tests: mean, deviation and rows of reference and current.
SCENARIOS = [
    (50, 15, 20_000, 50, 15, 20_000),
    (50, 15, 20_000, 50, 15, 5_000),
    (50, 15, 20_000, 50, 10, 20_000),
    (50, 15, 20_000, 53, 5, 5_000),
    (50, 15, 20_000, 250, 15, 20_000),
    (50, 0, 9_000, 51, 0, 9_000),
    (50, 0, 900, 50, 0, 900),
    (0, 0, 900, 0, 0, 80),
    (50, 15, 9_000, 51, 15, 900),
    (50, 15, 9_000, 51, 5, 9_000),
    (50, 15, 100, 52, 15, 100),
    (50, 15, 20, 52, 15, 20),
    (-3, 2, 7, 4, 1, 1),
]


def samples(scenario: tuple[float, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    mean, deviation, rows, mean_now, deviation_now, rows_now = scenario
    return (
        generator.normal(mean, deviation, int(rows)),
        generator.normal(mean_now, deviation_now, int(rows_now)),
    )


def azure_bins(x: np.ndarray, y: np.ndarray) -> list[float]:
    """get_dual_histogram_bin_edges of azureml-assets, in plain Python."""
    count = math.ceil(math.log2(min(len(x), len(y))) + 1)
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    if low == high:
        delta = 0.005 if low == 0 else abs(low * 0.005)
        return [low - delta, low + delta]
    width = (high - low) / count
    return [*(low + bin * width for bin in range(count)), high]


def azure_histograms(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    edges = azure_bins(x, y)
    return np.histogram(x, edges)[0], np.histogram(y, edges)[0]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_numerical_metrics_equal_azures_formulas_on_scipy(scenario, seed):
    x, y = samples(scenario, seed)
    p, q = azure_histograms(x, y)
    assert drift.jensen_shannon_distance(x, y, "numerical") == pytest.approx(
        distance.jensenshannon(p / len(x), q / len(y), base=2), abs=1e-7
    )
    first, second = (p + 1) / (len(x) + len(p)), (q + 1) / (len(y) + len(q))
    expected = sum((b - a) * math.log(b / a) for a, b in zip(first, second, strict=True))
    assert drift.population_stability_index(x, y, "numerical") == pytest.approx(expected, abs=1e-12)
    norm = max(np.std(x, ddof=1), 0.001)
    assert drift.normalized_wasserstein_distance(x, y) == pytest.approx(
        stats.wasserstein_distance(x, y) / norm, rel=1e-9, abs=1e-12
    )
    assert drift.two_sample_kolmogorov_smirnov_test(x, y) == pytest.approx(stats.ks_2samp(x, y).pvalue, rel=1e-6)


@pytest.mark.parametrize("digits", [0, 1])
@pytest.mark.parametrize("seed", range(15))
def test_ties_do_not_move_numerical_metrics_away_from_scipy(seed, digits):
    generator = np.random.default_rng(seed)
    rows, rows_now = generator.integers(2, 300, 2)
    x = generator.normal(size=rows).round(digits)
    y = generator.normal(generator.choice([0, 0.4, 3]), size=rows_now).round(digits)
    assert drift.two_sample_kolmogorov_smirnov_test(x, y) == pytest.approx(
        stats.ks_2samp(x, y, method="exact").pvalue, rel=1e-9
    )
    assert drift.normalized_wasserstein_distance(x, y) * drift.norm(x) == pytest.approx(
        stats.wasserstein_distance(x, y), rel=1e-9, abs=1e-12
    )
    p, q = azure_histograms(x, y)
    assert drift.jensen_shannon_distance(x, y, "numerical") == pytest.approx(
        distance.jensenshannon(p, q, base=2), abs=1e-7
    )


TALLIES = [
    ({"a": 97, "b": 105, "c": 99}, {"a": 97, "b": 105, "c": 99}),
    ({"a": 100, "b": 100, "c": 100, "d": 100}, {"a": 97, "b": 105, "c": 99, "d": 98}),
    ({"a": 100, "b": 100, "c": 100, "d": 100}, {"a": 10, "b": 11, "c": 9, "d": 10}),
    ({"a": 100, "b": 100, "c": 100, "d": 100}, {"a": 180, "b": 80, "c": 70, "d": 1}),
    ({"a": 100, "b": 100, "c": 100, "d": 100}, {"a": 100, "b": 100, "d": 1}),
    ({"a": 100, "b": 100}, {"i": 1, "j": 1, "k": 2}),
    ({"a": 100, "b": 100}, {"a": 92, "b": 23}),
    ({"a": 3, "b": 1, "c": 4}, {"a": 2, "b": 3}),
    ({"a": 5, "b": 5}, {"a": 3, "new": 1}),
]


@pytest.mark.parametrize(("before", "after"), TALLIES)
def test_categorical_metrics_equal_azures_formulas_on_scipy(before, after):
    x = [label for label, count in before.items() for _ in range(count)]
    y = [label for label, count in after.items() for _ in range(count)]
    labels = sorted(set(x) | set(y))
    p = np.array([x.count(label) for label in labels])
    q = np.array([y.count(label) for label in labels])
    assert drift.jensen_shannon_distance(x, y, "categorical") == pytest.approx(
        distance.jensenshannon(p, q, base=2), abs=1e-7
    )
    first, second = (p + 1) / (p + 1).sum(), (q + 1) / (q + 1).sum()
    assert drift.population_stability_index(x, y, "categorical") == pytest.approx(
        float(((second - first) * np.log(second / first)).sum()), abs=1e-12
    )
    with np.errstate(divide="ignore"):
        expected = stats.chisquare(q, p / p.sum() * q.sum()).pvalue
    assert drift.pearsons_chi_squared_test(x, y) == pytest.approx(expected, rel=1e-10, abs=1e-300)


@pytest.mark.parametrize("seed", range(10))
def test_chi_squared_equals_scipy_for_many_categories(seed):
    generator = np.random.default_rng(seed)
    names = generator.integers(0, [2, 5, 50, 400, 3][seed % 5], 4000).astype(str)
    x, y = names[:3000], np.append(names[3000:], names[:1])
    _, p = np.unique(x, return_counts=True)
    q = np.array([(y == label).sum() for label in np.unique(x)])
    if set(y) <= set(x):
        expected = stats.chisquare(q, p / p.sum() * q.sum()).pvalue
        assert drift.pearsons_chi_squared_test(x, y) == pytest.approx(expected, rel=1e-10)


def test_a_category_the_reference_never_saw_makes_the_chi_squared_p_value_zero():
    assert drift.pearsons_chi_squared_test(["a", "b"], ["a", "c"]) == 0.0


def test_one_category_on_both_sides_is_no_drift():
    assert drift.pearsons_chi_squared_test(["a"] * 5, ["a"] * 9) == 1.0
    assert drift.jensen_shannon_distance(["a"] * 5, ["a"] * 9, "categorical") == 0.0
    assert drift.population_stability_index(["a"] * 5, ["a"] * 9, "categorical") == 0.0


def test_nulls_and_nan_are_left_out():
    clean = drift.normalized_wasserstein_distance([1.0, 2.0, 3.0], [2.0, 3.0, 5.0])
    holes = [None, 1.0, float("nan"), 2.0, 3.0]
    assert drift.normalized_wasserstein_distance(holes, [2.0, 3.0, None, 5.0]) == clean
    assert drift.pearsons_chi_squared_test(["a", None, "b"], ["a", "b", None, None]) == 1.0


@pytest.mark.parametrize("empty", [[], [None, None], np.array([np.nan])])
def test_a_column_without_values_is_an_error_that_says_so(empty):
    for call in (
        lambda: drift.jensen_shannon_distance([1.0], empty, "numerical"),
        lambda: drift.population_stability_index(empty, [1.0], "numerical"),
        lambda: drift.normalized_wasserstein_distance(empty, [1.0]),
        lambda: drift.two_sample_kolmogorov_smirnov_test([1.0], empty),
        lambda: drift.pearsons_chi_squared_test(["a"], empty),
    ):
        with pytest.raises(errors.InvalidInput, match="holds no values"):
            call()


def test_text_is_not_measured_as_numbers():
    with pytest.raises(errors.InvalidInput, match="not numbers"):
        drift.normalized_wasserstein_distance(["a"], [1.0])


def test_infinities_are_bins_of_their_own_and_cannot_be_moved_over_a_finite_distance():
    plain, spoilt = [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, math.inf, -math.inf]
    assert drift.normalized_wasserstein_distance(plain, spoilt) == math.inf
    assert drift.normalized_wasserstein_distance(spoilt, spoilt) == 0.0
    assert drift.normalized_wasserstein_distance([0.0, 2.0, math.inf], [1.0, 3.0, math.inf]) == pytest.approx(
        (2 / 3) / math.sqrt(2)
    )
    assert 0 < drift.jensen_shannon_distance(plain, spoilt, "numerical") < 1
    assert drift.jensen_shannon_distance([math.inf], [-math.inf], "numerical") == 1.0
    assert drift.jensen_shannon_distance([math.inf], [math.inf], "numerical") == 0.0
    assert drift.population_stability_index(plain, spoilt, "numerical") > 0
    assert drift.two_sample_kolmogorov_smirnov_test(plain, spoilt) == pytest.approx(
        stats.ks_2samp(plain, [1.0, 2.0, 9.0, -9.0]).pvalue
    )


def test_numbers_at_the_ends_of_the_float_range_do_not_overflow():
    huge = [-1.7e308, 0.0, 1.7e308]
    assert drift.jensen_shannon_distance(huge, huge, "numerical") == 0.0
    assert drift.jensen_shannon_distance([1.7e308], [1.7e308], "numerical") == 0.0
    assert drift.jensen_shannon_distance([5e-324], [5e-324], "numerical") == 0.0


def test_a_number_is_the_same_label_whether_integer_or_float():
    assert drift.pearsons_chi_squared_test([1, 2, 2], [1.0, 2.0, 2.0, None]) == 1.0
    assert drift.jensen_shannon_distance([1, 2], [1.0, 2.0], "categorical") == 0.0


def test_polars_pyarrow_numpy_and_lists_give_the_same_value():
    x, y = [1.0, 2.0, 5.0], [2.0, 2.5, 9.0]
    forms = [x, np.array(x), pl.Series(x), pa.array(x), pa.chunked_array([x])]
    assert len({drift.normalized_wasserstein_distance(form, y) for form in forms}) == 1


numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)
labels = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None)
@given(numbers, numbers)
def test_distances_of_numbers_are_symmetric_bounded_and_zero_on_themselves(x, y):
    js = drift.jensen_shannon_distance(x, y, "numerical")
    assert 0 <= js <= 1
    assert js == pytest.approx(drift.jensen_shannon_distance(y, x, "numerical"), abs=1e-9)
    assert drift.jensen_shannon_distance(x, x, "numerical") == 0
    assert drift.population_stability_index(x, y, "numerical") >= -1e-12
    assert drift.normalized_wasserstein_distance(x, x) == 0
    p = drift.two_sample_kolmogorov_smirnov_test(x, y)
    assert 0 <= p <= 1
    with warnings.catch_warnings(record=True) as gave_up:
        warnings.simplefilter("always")
        expected = stats.ks_2samp(x, y, method="exact").pvalue
    assert gave_up or p == pytest.approx(expected, rel=1e-9)  # scipy leaves its exact method when that exceeds 1


@settings(max_examples=150, deadline=None)
@given(numbers, numbers)
def test_wasserstein_equals_scipy(x, y):
    expected = stats.wasserstein_distance(x, y) / drift.norm(np.array(x))
    assert drift.normalized_wasserstein_distance(x, y) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@settings(max_examples=150, deadline=None)
@given(labels, labels)
def test_distances_of_categories_are_symmetric_and_bounded(x, y):
    js = drift.jensen_shannon_distance(x, y, "categorical")
    assert 0 <= js <= 1
    assert js == pytest.approx(drift.jensen_shannon_distance(y, x, "categorical"), abs=1e-9)
    psi = drift.population_stability_index(x, y, "categorical")
    assert psi == pytest.approx(drift.population_stability_index(y, x, "categorical"), abs=1e-12)
    assert 0 <= drift.pearsons_chi_squared_test(x, y) <= 1


@pytest.mark.parametrize(("rows", "rows_now"), [(20_000, 20_000), (20_000, 17_001), (311, 40_000), (20_000, 1)])
@pytest.mark.parametrize("digits", [2, 12])
def test_large_samples_with_and_without_ties_equal_scipy(rows, rows_now, digits):
    generator = np.random.default_rng(rows_now)
    x, y = generator.normal(size=rows).round(digits), generator.normal(0.02, 1.1, size=rows_now).round(digits)
    before, after = samples_of.Numbers.of(x), samples_of.Numbers.of(y)
    expected = stats.ks_2samp(x, y, method="asymp").statistic
    assert kolmogorov.statistic_of_sorted(before.ordered, after.ordered) == round(expected * rows * rows_now)
    assert drift.normalized_wasserstein_distance(before, after) == pytest.approx(
        stats.wasserstein_distance(x, y) / np.std(x, ddof=1), rel=1e-9
    )
    p, q = azure_histograms(x, y)
    assert drift.jensen_shannon_distance(before, after, "numerical") == pytest.approx(
        distance.jensenshannon(p, q, base=2), abs=1e-7
    )


def test_integers_of_every_width_are_counted_as_they_are():
    for dtype, low, high in ((pl.Int8, -128, 127), (pl.UInt8, 0, 255), (pl.UInt64, 2**64 - 3, 2**64 - 1)):
        column = pl.Series("c", [low, high, high, None] * 200, dtype=dtype)
        assert columns.counts(column) == {str(low): 200, str(high): 400}
    assert columns.counts(pl.Series([True, None, False, True])) == {"false": 1, "true": 2}
    assert columns.counts(pl.Series([0.0, -0.0, 2.5, 2.0, math.nan])) == {"0": 2, "2": 1, "2.5": 1}


def test_texts_held_as_numbers_of_labels_are_counted_as_texts():
    text = pl.Series(["b", "a", None, "b", "c"] * 3)
    for dtype in (pl.Categorical, pl.Enum(["c", "a", "z", "b"])):
        held = pl.concat([text.cast(dtype), text.cast(dtype)])
        assert columns.counts(held) == {"a": 6, "b": 12, "c": 6}
        assert columns.counts_without(held, np.array([0, 2, 4, 9, 14, 19, 24, 29])) == {"a": 6, "b": 11}


@pytest.mark.parametrize("size", [19_999, 60_000, 460_000])
@pytest.mark.parametrize("z", [2.3, 7.0, 90.0])
def test_tails_of_kolmogorov_and_smirnov_equal_scipys_to_the_smallest(size, z):
    place = math.sqrt(z / size)
    assert kolmogorov.one_sample_survival(place, size) == pytest.approx(stats.kstwo.sf(place, size), rel=1e-11)
