"""Searches for the best values of a step's inputs: the space, how it is sampled, when a trial is given up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from doubleloop.base import errors
from doubleloop.sdk import calls
from doubleloop.sdk.entities import settings
from doubleloop.sdk.entities.model import Entity, Pointer, Sheet
from doubleloop.sdk.entities.values import Input, Output
from doubleloop.sdk.steps import model
from doubleloop.sdk.steps.model import Inputs, Step

Value = str | float | bool


@dataclass(eq=False, repr=False)
class Choice(Entity):
    """One of ``values``."""

    values: list[Any]
    type: str = "choice"

    def example(self) -> Any:
        numbers = [each for each in self.values if isinstance(each, (int, float)) and not isinstance(each, bool)]
        is_mixed = len(numbers) == len(self.values) and any(isinstance(each, float) for each in numbers)
        return 0.0 if is_mixed else self.values[0] if self.values else ""


@dataclass(eq=False, repr=False)
class _Between(Entity):
    min_value: float
    max_value: float

    def example(self) -> Any:
        return 0.0


@dataclass(eq=False, repr=False)
class Uniform(_Between):
    """A number from ``min_value`` to ``max_value``."""

    type: str = "uniform"


@dataclass(eq=False, repr=False)
class LogUniform(_Between):
    """A number whose natural logarithm is from ``min_value`` to ``max_value``."""

    type: str = "loguniform"


@dataclass(eq=False, repr=False)
class QUniform(_Between):
    """As ``Uniform``, rounded to multiples of ``q``."""

    q: float
    type: str = "quniform"


@dataclass(eq=False, repr=False)
class QLogUniform(_Between):
    """As ``LogUniform``, rounded to multiples of ``q``."""

    q: float
    type: str = "qloguniform"


@dataclass(eq=False, repr=False)
class _Around(Entity):
    mu: float
    sigma: float

    def example(self) -> Any:
        return 0.0


@dataclass(eq=False, repr=False)
class Normal(_Around):
    """A normal number of mean ``mu`` and standard deviation ``sigma``."""

    type: str = "normal"


@dataclass(eq=False, repr=False)
class LogNormal(_Around):
    """A number whose natural logarithm is normal."""

    type: str = "lognormal"


@dataclass(eq=False, repr=False)
class QNormal(_Around):
    """As ``Normal``, rounded to multiples of ``q``."""

    q: float
    type: str = "qnormal"


@dataclass(eq=False, repr=False)
class QLogNormal(_Around):
    """As ``LogNormal``, rounded to multiples of ``q``."""

    q: float
    type: str = "qlognormal"


@dataclass(eq=False, repr=False)
class Randint(Entity):
    """A whole number from 0 up to, and without, ``upper``."""

    upper: int
    type: str = "randint"

    def example(self) -> Any:
        return 0


Distribution = (
    Choice | Uniform | LogUniform | QUniform | QLogUniform | Normal | LogNormal | QNormal | QLogNormal | Randint
)  # fmt: skip
DISTRIBUTIONS = (Choice, _Between, _Around, Randint)


@dataclass(kw_only=True, eq=False, repr=False)
class SamplingAlgorithm(Entity):
    type: str


@dataclass(kw_only=True, eq=False, repr=False)
class RandomSamplingAlgorithm(SamplingAlgorithm):
    """``rule``: ``random``, or ``sobol`` for values that fill the space evenly. ``logbase``: a number above 1, or e."""

    rule: str | None = None
    seed: int | None = None
    logbase: str | float | None = None
    type: str = "random"


@dataclass(kw_only=True, eq=False, repr=False)
class GridSamplingAlgorithm(SamplingAlgorithm):
    """Every combination of choices."""

    type: str = "grid"


@dataclass(kw_only=True, eq=False, repr=False)
class BayesianSamplingAlgorithm(SamplingAlgorithm):
    """Values that earlier trials make likely to be good."""

    type: str = "bayesian"


@dataclass(kw_only=True, eq=False, repr=False)
class Policy(Entity):
    """When a trial is given up: looked at every ``evaluation_interval`` values of the metric, for the first time after
    ``delay_evaluation``."""

    evaluation_interval: int | None = None
    delay_evaluation: int | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class BanditPolicy(Policy):
    """Give up trials that are worse than the best by a share (``slack_factor``) or an amount (``slack_amount``)."""

    slack_factor: float | None = None
    slack_amount: float | None = None
    type: str = "bandit"


@dataclass(kw_only=True, eq=False, repr=False)
class MedianStoppingPolicy(Policy):
    """Give up trials that are worse than the median of the others' means."""

    type: str = "median_stopping"


@dataclass(kw_only=True, eq=False, repr=False)
class TruncationSelectionPolicy(Policy):
    """Give up the worst ``truncation_percentage`` of the trials at each look."""

    truncation_percentage: int
    exclude_finished_jobs: bool | None = None
    type: str = "truncation_selection"


@dataclass(kw_only=True, eq=False, repr=False)
class Objective(Entity):
    """``goal``: ``minimize`` or ``maximize``; ``primary_metric`` as the trial logs it."""

    goal: str
    primary_metric: str


@dataclass(kw_only=True, eq=False, repr=False)
class Sweep(Step):
    """Made by ``step.sweep(...)``."""

    _kind: ClassVar[str] = "sweep_job"
    _inner: ClassVar[Mapping[str, type[Entity]]] = {
        "limits": settings.SweepJobLimits, "objective": Objective, "resources": settings.JobResourceConfiguration,
    }  # fmt: skip

    type: str = "sweep"
    trial: Any
    search_space: Mapping[str, Any] = field(default_factory=dict)
    objective: Objective | Mapping[str, Any]
    sampling_algorithm: str | SamplingAlgorithm | Mapping[str, Any] = "random"
    early_termination: Policy | Mapping[str, Any] | None = None
    limits: settings.SweepJobLimits
    resources: settings.JobResourceConfiguration | None = None
    environment_variables: dict[str, str] = field(default_factory=dict)
    identity: Any = None
    queue_settings: Any = None
    parent_job_name: str | None = None

    def __call__(self, **inputs: Any) -> Sweep:
        """A copy with these inputs, as a step of the pipeline that is being composed."""
        return self._called(inputs)

    def set_limits(self, **limits: int) -> None:
        """``max_total_trials``, ``max_concurrent_trials``; ``timeout`` and ``trial_timeout`` in seconds."""
        self.limits = settings.SweepJobLimits(**{**self.limits._fields(), **limits})

    def set_objective(self, *, goal: str, primary_metric: str) -> None:
        self.objective = Objective(goal=goal, primary_metric=primary_metric)

    def _default_name(self) -> str:
        return self.trial._default_name() if isinstance(self.trial, Step) else "sweep"

    def _put(self, sheet: Sheet, data: dict[str, Any], at: Pointer, name: str, value: Any) -> None:
        if name != "trial" or not isinstance(value, Step):
            super()._put(sheet, data, at, name, value)
        elif isinstance(sheet.graph, model.Graph):
            data["trial"] = value._write_component(sheet, (*at, "trial"))  # type: ignore[attr-defined]
        else:
            trial = value._write_trial(sheet, (*at, "trial"))  # type: ignore[attr-defined]
            data["trial"] = {**trial, "command": _searched(trial.get("command", ""), self.search_space)}


def _searched(command: str, space: Mapping[str, Any]) -> str:
    """A command whose searched inputs are those of the search space."""
    for key in space:
        command = command.replace(f"${{{{inputs.{key}}}}}", f"${{{{search_space.{key}}}}}")
    return command


def sweep(
    trial: Any, primary_metric: str, goal: str, sampling: str | SamplingAlgorithm, compute: Any,
    space: Mapping[str, Any] | None, identity: Any, queue_settings: Any, policy: Policy | None,
    limits: settings.SweepJobLimits,
) -> Sweep:  # fmt: skip
    """The search that a step becomes; in a pipeline it takes the step's place."""
    searched = {key: value for key, value in trial.inputs.items() if isinstance(value, DISTRIBUTIONS)}
    searched |= dict(space or {})
    if not searched:
        raise errors.InvalidInput(
            f"{trial._title()} has nothing to search for", where=model.where(calls.here(), "search_space"),
            cure="Give an input as Choice(...) or Uniform(...), or name it in search_space={...}.",
        )  # fmt: skip
    inputs = trial.inputs.copy()
    for key in searched:
        inputs.pop(key, None)
    declared: Mapping[str, Input] = getattr(trial.__dict__.get("component"), "inputs", {})
    if not model.is_composing():
        _add_defaults(declared, inputs, searched)
    made = Sweep(
        trial=trial, search_space=searched, inputs=inputs,
        objective=Objective(goal=goal, primary_metric=primary_metric), sampling_algorithm=sampling, compute=compute,
        early_termination=policy, limits=limits, identity=identity, queue_settings=queue_settings,
        display_name=trial.display_name, experiment_name=trial.experiment_name, description=trial.description,
        tags=dict(trial.tags), properties=dict(trial.properties),
    )  # fmt: skip
    made.outputs = trial.outputs.of(made)
    if not model.is_composing():  # a job's trial declares nothing: the job says what it writes
        for key, output in trial.outputs.items():
            made.outputs[key] = Output(**{**output._declaration(), **output._says()._fields()})
    declares = trial.__dict__["_declares"] if model.is_composing() else {**trial.__dict__["_declares"], **declared}
    made.__dict__["_declares"] = {key: each for key, each in declares.items() if key in inputs}
    made.__dict__["_called_at"] = calls.here()
    model.leave(trial)
    model.join(made)
    return made


def _add_defaults(declared: Mapping[str, Input], inputs: Inputs, searched: Mapping[str, Any]) -> None:
    """A sweep job's trial is a command without declarations: what its component would fill in is given here."""
    for key, each in declared.items():
        if key in inputs or key in searched:
            continue
        if each.default is not None:
            inputs[key] = each.default
        elif each.optional:
            inputs[key] = Input(type=each.type, optional=True)


def refuse_spaces(step: Step) -> None:
    """A search space is for a sweep alone. Raises InvalidInput."""
    for key, value in step.inputs.items():
        if isinstance(value, DISTRIBUTIONS):
            raise errors.InvalidInput(
                f"The input '{key}' is a search space", where=model.where(step.inputs.lines.get(key), f"inputs.{key}"),
                cure="Search with .sweep(primary_metric=..., goal=...), or give a value.",
            )  # fmt: skip
