"""Searching for the best values of a command's parameters: the space, how it is sampled, when a trial is given up."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from doubleloop.specs import fields, support
from doubleloop.specs.fields import Fold, Int, LooseText, Number, Scalar, Spec, Text, Variables
from doubleloop.specs.kinds import jobs
from doubleloop.specs.kinds.environment import EnvironmentField
from doubleloop.specs.kinds.values import JobInput, JobOutput


class Choice(Spec):
    title: ClassVar[str] = "search space › choice"

    type: Annotated[Literal["choice"], Fold] = Field(description="choice")
    values: Annotated[list[Scalar], Field(min_length=1)] = Field(description="The values to choose from.")


class Between(Spec):
    title: ClassVar[str] = "search space › uniform, loguniform"

    type: Annotated[Literal["uniform", "loguniform"], Fold] = Field(description="uniform or loguniform")
    min_value: Number = Field(description="Smallest value; of loguniform its natural logarithm, as in Azure ML.")
    max_value: Number = Field(description="Largest value; of loguniform its natural logarithm, as in Azure ML.")

    @model_validator(mode="after")
    def _ordered(self) -> Between:
        if self.min_value >= self.max_value:
            raise ValueError(f"min_value {self.min_value:g} must be less than max_value {self.max_value:g}")
        return self


class SteppedBetween(Between):
    title: ClassVar[str] = "search space › quniform, qloguniform"

    type: Annotated[Literal["quniform", "qloguniform"], Fold] = Field(  # type: ignore[assignment]
        description="quniform or qloguniform"
    )
    q: Annotated[Number, Field(gt=0)] = Field(description="Values are rounded to multiples of it.")


class Normal(Spec):
    title: ClassVar[str] = "search space › normal, lognormal"

    type: Annotated[Literal["normal", "lognormal"], Fold] = Field(description="normal or lognormal")
    mu: Number = Field(description="Mean (of lognormal: of the natural logarithm).")
    sigma: Annotated[Number, Field(gt=0)] = Field(description="Standard deviation (likewise).")


class SteppedNormal(Normal):
    title: ClassVar[str] = "search space › qnormal, qlognormal"

    type: Annotated[Literal["qnormal", "qlognormal"], Fold] = Field(  # type: ignore[assignment]
        description="qnormal or qlognormal"
    )
    q: Annotated[Number, Field(gt=0)] = Field(description="Values are rounded to multiples of it.")


class Randint(Spec):
    title: ClassVar[str] = "search space › randint"

    type: Annotated[Literal["randint"], Fold] = Field(description="randint")
    upper: Annotated[Int, Field(ge=1)] = Field(description="Whole numbers from 0 up to, and without, this one.")


def _space_type(value: Any) -> str:
    found = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{str(found or '').strip().lower()}>"


Parameter = Annotated[
    Annotated[Choice, Tag("<choice>")]
    | Annotated[Between, Tag("<uniform>")]
    | Annotated[Between, Tag("<loguniform>")]
    | Annotated[SteppedBetween, Tag("<quniform>")]
    | Annotated[SteppedBetween, Tag("<qloguniform>")]
    | Annotated[Normal, Tag("<normal>")]
    | Annotated[Normal, Tag("<lognormal>")]
    | Annotated[SteppedNormal, Tag("<qnormal>")]
    | Annotated[SteppedNormal, Tag("<qlognormal>")]
    | Annotated[Randint, Tag("<randint>")],
    Discriminator(_space_type),
]
Space = Annotated[dict[str, Parameter], Field(min_length=1)]


class Sampling(Spec):
    title: ClassVar[str] = "sweep › sampling_algorithm"

    type: Annotated[Literal["random", "grid", "bayesian"], Fold] = Field(description="random, grid or bayesian")
    seed: Int | None = Field(None, description="The same seed gives the same values.")
    rule: Annotated[Literal["random", "sobol"], Fold] | None = Field(
        None, description="random, or sobol: values that fill the space evenly."
    )
    logbase: LooseText | None = Field(None, description="Base of logarithmic scales: a number above 1, or e.")


SamplingName = Annotated[Literal["random", "grid", "bayesian"], Fold]


def _sampling_shape(value: Any) -> str:
    return "<settings>" if isinstance(value, (dict, Spec)) else "<name>"


SamplingField = Annotated[
    Annotated[SamplingName, Tag("<name>")] | Annotated[Sampling, Tag("<settings>")], Discriminator(_sampling_shape)
]


class Objective(Spec):
    title: ClassVar[str] = "sweep › objective"

    goal: Annotated[Literal["minimize", "maximize"], Fold] = Field(description="minimize or maximize")
    primary_metric: Text = Field(description="Name of the metric, as the trial logs it to MLflow.")


class Termination(Spec):
    evaluation_interval: Annotated[Int, Field(ge=1)] | None = Field(
        None, description="Look after every so many values of the metric; 1 when left out."
    )
    delay_evaluation: Annotated[Int, Field(ge=0)] | None = Field(
        None, description="Look for the first time after so many values."
    )


class Bandit(Termination):
    title: ClassVar[str] = "sweep › early_termination › bandit"

    type: Annotated[Literal["bandit"], Fold] = Field(description="bandit")
    slack_factor: Annotated[Number, Field(ge=0)] | None = Field(
        None, description="How much worse than the best a trial may be, as a share."
    )
    slack_amount: Annotated[Number, Field(ge=0)] | None = Field(
        None, description="How much worse than the best a trial may be, in units of the metric."
    )

    @model_validator(mode="after")
    def _one_slack(self) -> Bandit:
        if (self.slack_factor is None) == (self.slack_amount is None):
            raise ValueError("give one of slack_factor and slack_amount")
        return self


class MedianStopping(Termination):
    title: ClassVar[str] = "sweep › early_termination › median_stopping"

    type: Annotated[Literal["median_stopping"], Fold] = Field(description="median_stopping")


class TruncationSelection(Termination):
    title: ClassVar[str] = "sweep › early_termination › truncation_selection"

    type: Annotated[Literal["truncation_selection"], Fold] = Field(description="truncation_selection")
    truncation_percentage: Annotated[Int, Field(ge=1, le=99)] = Field(
        description="Share of the worst trials to stop at each look, in per cent."
    )
    exclude_finished_jobs: fields.Flag | None = Field(None, description="Leave ended trials out of the comparison.")


TerminationField = Annotated[
    Annotated[Bandit, Tag("<bandit>")]
    | Annotated[MedianStopping, Tag("<median_stopping>")]
    | Annotated[TruncationSelection, Tag("<truncation_selection>")],
    Discriminator(_space_type),
]


class SweepLimits(Spec):
    title: ClassVar[str] = "sweep › limits"

    max_total_trials: Annotated[Int, Field(ge=1, le=1000)] = Field(description="Number of trials, 1 to 1000.")
    max_concurrent_trials: Annotated[Int, Field(ge=1, le=1000)] | None = Field(
        None, description="Trials at once; all when left out."
    )
    timeout: Annotated[Int, Field(ge=1)] | None = Field(None, description="Seconds for the whole sweep.")
    trial_timeout: Annotated[Int, Field(ge=1)] | None = Field(None, description="Seconds for one trial.")


class Trial(jobs.Runs):
    """The command of a sweep job. Unknown fields are errors; its inputs are those of the sweep."""

    title: ClassVar[str] = "sweep job › trial"

    command: Text = Field(description="Shell command, with ${{inputs.X}}, ${{outputs.X}} and ${{search_space.X}}.")
    code: Text | None = Field(
        None, description="Folder (or file) that the command runs in a copy of.", json_schema_extra=fields.path("code")
    )
    environment: EnvironmentField = Field(description="Reference to an environment, or one written inline.")
    resources: jobs.Resources | None = Field(None, description="Machines wanted.")


class Sweeps(Spec):
    """What a sweep job and a sweep step share."""

    sampling_algorithm: SamplingField = Field("random", description="random (the default), grid or bayesian.")
    search_space: Space = Field(description="The parameters and the values they may take.")
    objective: Objective = Field(description="What is best.")
    early_termination: TerminationField | None = Field(None, description="When a trial is given up.")
    limits: SweepLimits = Field(description="How many trials, how long.")
    inputs: dict[str, JobInput] = Field(default_factory=dict, description="Inputs of every trial.")
    outputs: dict[str, JobOutput] = Field(default_factory=dict, description="Outputs; those of the best trial.")
    compute: Text | None = Field(None, description="Where the trials run.")
    resources: jobs.Resources | None = Field(None, description="Machines wanted per trial.")
    environment_variables: Variables = Field(default_factory=dict, description="Set for every trial.")
    identity: fields.Accepted | None = Field(None, description="Azure identity of the job.")
    queue_settings: fields.Accepted | None = Field(None, description="Tier and priority in Azure's queue.")


class SweepJob(jobs.Described, Sweeps):
    title: ClassVar[str] = "sweep job"

    type: Annotated[Literal["sweep"], Fold] = Field("sweep", description="sweep")
    trial: Trial = Field(description="The command that is tried.")
    experiment_name: Text | None = Field(None, description="Experiment that the runs are recorded in.")
    parent_job_name: Text | None = Field(None, description="Job that this one is recorded under.")


class SweepNode(jobs.Described, Sweeps):
    title: ClassVar[str] = "pipeline job › sweep step"

    type: Annotated[Literal["sweep"], Fold] = Field("sweep", description="sweep")
    trial: jobs.CommandComponentField = Field(description="Component that is tried: a file, a reference, or inline.")
    experiment_name: Text | None = Field(None, description="Recorded with the pipeline's experiment instead.")
    comment: LooseText | None = Field(None, description="A remark.")


_SWEEPS = (
    "sampling_algorithm search_space objective early_termination limits inputs outputs compute resources "
    "environment_variables"
)
_AZURE = {"identity": support.IDENTITY, "queue_settings": support.QUEUE}
SUPPORT: dict[type[Spec], support.Rows] = {
    Choice: support.rows("type values"),
    Between: support.rows("type min_value max_value"),
    SteppedBetween: support.rows("q"),
    Normal: support.rows("type mu sigma"),
    SteppedNormal: support.rows("q"),
    Randint: support.rows("type upper"),
    Sampling: support.rows("type seed rule logbase"),
    Objective: support.rows("goal primary_metric"),
    Termination: support.rows("evaluation_interval delay_evaluation"),
    Bandit: support.rows("type slack_factor slack_amount"),
    MedianStopping: support.rows("type"),
    TruncationSelection: support.rows("type truncation_percentage exclude_finished_jobs"),
    SweepLimits: support.rows("max_total_trials max_concurrent_trials timeout trial_timeout"),
    Trial: support.rows(
        f"command code environment resources {jobs.RUNS}",
        jobs.NOT_OF_THIS_MACHINE,
    ),
    SweepJob: support.rows(f"{jobs.DESCRIBED} {_SWEEPS} trial experiment_name parent_job_name", _AZURE),
    SweepNode: support.rows(
        f"{jobs.DESCRIBED} {_SWEEPS} trial comment", {**_AZURE, "experiment_name": support.PIPELINE_OWNS}
    ),
}
