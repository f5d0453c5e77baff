"""How many instances a load asks for: a table worked out by hand, and what holds for every load."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubleloop.base import errors
from doubleloop.gateway import desired, scaling
from doubleloop.gateway.desired import Scale

WINDOW = 300.0


def samples(*pairs: tuple[float, float]) -> list[scaling.Sample]:
    return [scaling.Sample(at, load) for at, load in pairs]


# Knative's own example: containerConcurrency 10, target 70 %, 100 concurrent requests ask for 15 pods (100 / 7).
@pytest.mark.parametrize(
    ("load", "per_instance", "target", "wanted"),
    [
        (100, 10, 70, 15),
        (0, 1, 70, 1),
        (0.7, 1, 70, 1),
        (0.71, 1, 70, 2),
        (2.1, 1, 70, 3),
        (8, 4, 100, 2),
        (8.01, 4, 100, 3),
        (1000, 1, 70, 20),
    ],
)
def test_a_load_asks_for_the_fewest_instances_within_the_target(
    load: float, per_instance: int, target: int, wanted: int
) -> None:
    policy = Scale(1, 20, target_utilization_percentage=target)
    assert scaling.recommended(load, policy, per_instance) == wanted


@pytest.mark.parametrize(
    ("name", "present", "history", "wanted", "why"),
    [
        ("nothing is known", 2, [], 2, ""),
        ("more load: up at once", 2, [(1000, 2.8)], 4, "2.8 requests in flight; 70 % of 1 each is the target"),
        ("never above the maximum", 3, [(1000, 99.0)], 5, "99.0 requests in flight; 70 % of 1 each is the target"),
        ("at the maximum there is nothing to say", 5, [(1000, 99.0)], 5, ""),
        ("less load, just begun", 4, [(800, 0.5), (1000, 0.5)], 4, ""),
        ("less load for the whole window", 4, [(700, 0.5), (1000, 0.5)], 2,
         "at most 0.5 requests in flight for 300 s; 70 % of 1 each is the target"),
        ("down only to the highest of the window", 5, [(690, 3.0), (710, 1.4), (1000, 0.1)], 2,
         "at most 1.4 requests in flight for 300 s; 70 % of 1 each is the target"),
        ("a peak within the window holds", 4, [(690, 0.0), (701, 2.8), (1000, 0.0)], 4, ""),
        ("never below the minimum", 3, [(700, 0.0), (1000, 0.0)], 2,
         "at most 0.0 requests in flight for 300 s; 70 % of 1 each is the target"),
        ("bounds that were changed are kept at once", 9, [(1000, 5.0)], 5,
         "9 instances are outside of what is allowed now (min_instances 2, max_instances 5)"),
    ],
)  # fmt: skip
def test_decisions(name: str, present: int, history: list[tuple[float, float]], wanted: int, why: str) -> None:
    found = scaling.decide(present, samples(*history), Scale(2, 5), 1, WINDOW, 1000.0)
    assert (found.wanted, found.why) == (wanted, why), name


_HISTORIES = st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 100)), max_size=12).map(
    lambda pairs: samples(*sorted(pairs))
)
_POLICIES = st.builds(
    lambda low, more, target: Scale(low, low + more, target_utilization_percentage=target),
    st.integers(1, 5), st.integers(0, 20), st.integers(1, 100),
)  # fmt: skip


@given(_HISTORIES, _POLICIES, st.integers(1, 30), st.integers(1, 8), st.floats(0, 500))
def test_for_every_load(
    history: list[scaling.Sample], policy: Scale, present: int, per_instance: int, window: float
) -> None:
    now = history[-1].at if history else 0.0
    found = scaling.decide(present, history, policy, per_instance, window, now)
    assert policy.min_instances <= found.wanted <= policy.max_instances
    assert bool(found.why) == (found.wanted != present)
    inside = scaling.clamp(present, policy)
    recent = [scaling.recommended(each.load, policy, per_instance) for each in history if now - each.at <= window]
    if recent and inside == present:
        assert found.wanted >= recent[-1], "never fewer than the load of now asks for"
        if found.wanted < present:
            assert found.wanted == max(recent), "fewer only as far as the whole window allows"
            assert now - history[0].at >= window
    again = scaling.decide(found.wanted, history, policy, per_instance, window, now)
    if inside == present:
        assert again == scaling.Decision(found.wanted, ""), "what was decided stands until the load changes"
    assert scaling.decide(present, scaling.kept(history, window, now), policy, per_instance, window, now) == found


@given(_POLICIES, st.floats(0, 100), st.floats(0, 100), st.integers(1, 8))
def test_more_load_never_asks_for_fewer(policy: Scale, load: float, more: float, per_instance: int) -> None:
    assert scaling.recommended(load, policy, per_instance) <= scaling.recommended(load + more, policy, per_instance)


@pytest.mark.parametrize(
    ("scale", "what"),
    [
        ({"min_instances": 3, "max_instances": 2}, "min_instances is above max_instances"),
        ({"target_utilization_percentage": 101}, "must be at most 100"),
        ({"max": 2}, "unknown field 'max'"),
    ],
)
def test_the_gateway_refuses_what_cannot_be(scale: dict[str, int], what: str) -> None:
    content = desired.to_json(
        desired.Desired(1, {"shop/bikes": desired.Endpoint({"blue": desired.Deployment("d", "python", "/m")})})
    )
    document = orjson.loads(content)
    document["endpoints"]["shop/bikes"]["deployments"]["blue"]["scale"] = scale
    with pytest.raises(errors.InvalidInput, match=what) as found:
        desired.from_json(orjson.dumps(document))
    assert "endpoints.shop/bikes.deployments.blue.scale" in str(found.value)
