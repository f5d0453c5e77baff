"""When a trial is given up, with the numbers of Azure ML's own examples."""

from __future__ import annotations

from typing import Any

import pytest

from doubleloop.jobs import stopping


def judged(policy: dict[str, Any], goal: str, running: str, **trials: list[float]) -> set[str]:
    return set(stopping.judge(policy, goal, trials, set(running)))


BANDIT = {"type": "bandit", "slack_factor": 0.2}


def test_a_bandit_gives_up_what_is_outside_the_slack_of_the_best_at_the_same_interval() -> None:
    """Azure: best 0.8, slack factor 0.2: anything below 0.8 / 1.2 = 0.666… is ended."""
    assert judged(BANDIT, "maximize", "bc", a=[0.8], b=[0.66], c=[0.67]) == {"b"}
    assert judged(BANDIT, "maximize", "bc", a=[0.1, 0.8], b=[0.5], c=[0.09, 0.1]) == {"c"}
    amount = {"type": "bandit", "slack_amount": 0.2}
    assert judged(amount, "maximize", "bc", a=[0.8], b=[0.59], c=[0.61]) == {"b"}
    assert judged(amount, "minimize", "bc", a=[0.8], b=[1.01], c=[0.99]) == {"b"}
    assert judged(BANDIT, "minimize", "bc", a=[1.0], b=[1.21], c=[1.19]) == {"b"}


def test_only_running_trials_are_given_up() -> None:
    assert judged(BANDIT, "maximize", "c", a=[0.8], b=[0.1], c=[0.9]) == set()


@pytest.mark.parametrize(("logged", "looked"), [(1, False), (4, False), (5, False), (6, True), (7, True)])
def test_a_policy_waits_for_its_delay_and_looks_at_its_intervals(logged: int, looked: bool) -> None:
    policy = {**BANDIT, "evaluation_interval": 2, "delay_evaluation": 5}
    assert judged(policy, "maximize", "b", a=[0.9] * 8, b=[0.1] * logged) == ({"b"} if looked else set())


def test_a_trial_is_given_up_below_the_median_of_running_averages() -> None:
    policy = {"type": "median_stopping"}
    found = judged(policy, "maximize", "cd", a=[0.2, 0.6], b=[0.6, 1.0], c=[0.1, 0.3], d=[0.5, 0.7])
    assert found == {"c"}  # averages .4 .8 .2 .6: the median is .5; best of c .3, of d .7
    assert judged(policy, "minimize", "cd", a=[0.2, 0.6], b=[0.6, 1.0], c=[0.1, 0.3], d=[0.9, 0.7]) == {"d"}


def test_the_worst_share_is_cut_at_each_look() -> None:
    policy = {"type": "truncation_selection", "truncation_percentage": 40}
    values = {name: [number / 10] for number, name in enumerate("abcde")}
    assert judged(policy, "maximize", "abcde", **values) == {"a", "b"}
    assert judged(policy, "minimize", "abcde", **values) == {"d", "e"}
    assert judged(policy, "maximize", "be", **values) == {"b"}
    assert judged({**policy, "exclude_finished_jobs": True}, "maximize", "be", **values) == set()


def test_values_that_are_no_numbers_are_worse_than_any() -> None:
    assert judged(BANDIT, "maximize", "b", a=[0.8], b=[float("nan")]) == {"b"}
