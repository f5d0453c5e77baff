"""``doubleloop/release``: the outer loop of one model, stage by stage, with the checks that stand at each gate."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from doubleloop.specs import fields, support
from doubleloop.specs.fields import (
    Duration,
    Flag,
    Fold,
    Int,
    LooseText,
    Many,
    Name,
    Number,
    Share,
    Spec,
    Tags,
    Text,
    Variables,
)
from doubleloop.specs.kinds.contracts import Contract
from doubleloop.specs.kinds.environment import EnvironmentField
from doubleloop.specs.kinds.online import OnlineDeployment, OnlineEndpoint
from doubleloop.specs.kinds.schedules import JobField, Schedule
from doubleloop.specs.kinds.values import JobInput, Persona

Scenario = Annotated[Literal["classical", "vision", "language"], Fold]
Milliseconds = Annotated[Number, Field(gt=0)]
Corruption = Annotated[Literal["noise", "blur", "contrast", "brightness"], Fold]
CORRUPTIONS: list[Literal["noise", "blur", "contrast", "brightness"]] = ["noise", "blur", "contrast", "brightness"]
Severity = Annotated[Literal["low", "medium", "high", "critical"], Fold]


class Retrain(Spec):
    title: ClassVar[str] = "release › retrain"

    job: JobField = Field(description="Job file that trains and registers the model, or azureml:name of a past job.")
    inputs: dict[str, JobInput] = Field(default_factory=dict, description="Inputs that replace the job's.")
    experiment_name: Text | None = Field(None, description="Experiment that the run is recorded in.")


class _Check(Spec):
    name: LooseText | None = Field(None, description="What the check is called in reports (default: its type).")


class DataQualityCheck(_Check):
    title: ClassVar[str] = "release › check data_quality"

    type: Annotated[Literal["data_quality"], Fold] = Field(description="data_quality")
    data: Text = Field(description="The data to look at: any reference.", json_schema_extra=fields.path())
    contract: Contract = Field(description="The rules: a doubleloop/contract file, or inline.")


class UnitTestsCheck(_Check):
    title: ClassVar[str] = "release › check unit_tests"

    type: Annotated[Literal["unit_tests"], Fold] = Field(description="unit_tests")
    command: Text = Field(description="Command that must end with 0.")
    code: Text | None = Field(
        None,
        description="Folder that it runs in a copy of. Left out: the smallest folder that holds this file "
        "and every existing path that the command names.",
        json_schema_extra=fields.path("code"),
    )
    directory: Text = Field(".", description="Folder inside the code in which the command starts.")
    environment: EnvironmentField | None = Field(None, description="Environment (default: that of the retraining job).")
    environment_variables: Variables = Field(default_factory=dict, description="Set for the command.")
    timeout: Duration = Field("30m", description="Longest time it may take.")


class Champion(Spec):
    title: ClassVar[str] = "release › champion"

    tolerance: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="Share by which the new model may be worse than the one in production (0.02 is 2 %)."
    )


class ModelQualityCheck(_Check):
    title: ClassVar[str] = "release › check model_quality"

    type: Annotated[Literal["model_quality"], Fold] = Field(description="model_quality")
    data: Text = Field(
        description="Fixed, versioned hold-out that no model trained on.", json_schema_extra=fields.path()
    )
    target: Text = Field(description="Column of the true values.")
    metric: Text = Field(description="rmse, mae, r2, accuracy, f1, roc_auc, ...")
    at_most: Number | None = Field(None, description="Largest value that passes.")
    at_least: Number | None = Field(None, description="Smallest value that passes.")
    champion: Champion | None = Field(None, description="Compare with the model in production on the same data.")
    features: list[Text] | None = Field(None, description="Columns to give to the model (default: its signature's).")

    @model_validator(mode="after")
    def _decides(self) -> ModelQualityCheck:
        if self.at_most is None and self.at_least is None and self.champion is None:
            raise ValueError("a model_quality check needs 'at_most', 'at_least' or 'champion', or it decides nothing")
        return self


class ResponsibleAiCheck(_Check):
    title: ClassVar[str] = "release › check responsible_ai"

    type: Annotated[Literal["responsible_ai"], Fold] = Field(description="responsible_ai")
    data: Text = Field(description="Fixed, versioned hold-out.", json_schema_extra=fields.path())
    sensitive: Annotated[list[Text], Field(min_length=1)] = Field(
        description="Columns whose groups are compared; of a column of texts also COLUMN.length, .script, .language."
    )
    language_model: Text | None = Field(
        None,
        description="Model that says the language of texts (azureml:NAME:VERSION), as language_detection makes one.",
    )
    metric: Text = Field(description="What is compared between the groups: mae_ratio, selection_rate_difference, ...")
    target: Text | None = Field(None, description="Column of the true values (default: that of model_quality).")
    at_most: Number | None = Field(None, description="Largest value that passes.")
    at_least: Number | None = Field(None, description="Smallest value that passes.")
    min_group_size: Annotated[Int, Field(ge=1)] = Field(30, description="Smaller groups are reported, not judged.")

    @model_validator(mode="after")
    def _decides(self) -> ResponsibleAiCheck:
        if self.at_most is None and self.at_least is None:
            raise ValueError("a responsible_ai check needs 'at_most' or 'at_least', or it decides nothing")
        return self


class CounterfactualCheck(_Check):
    title: ClassVar[str] = "release › check counterfactual"

    type: Annotated[Literal["counterfactual"], Fold] = Field(description="counterfactual")
    data: Text = Field(description="Fixed, versioned table of texts.", json_schema_extra=fields.path())
    column: Text = Field("text", description="Column of the texts.")
    swap: Annotated[list[list[Text]], Field(min_length=1)] = Field(
        description="Pairs of terms that change places: [[he, she], [man, woman]]."
    )
    at_most: Share = Field(description="Largest share of texts with a term whose answer may change.")
    min_rows: Annotated[Int, Field(ge=1)] = Field(
        30, description="With fewer texts that have a term nothing is judged."
    )
    features: list[Text] | None = Field(None, description="Columns to give to the model (default: its signature's).")


class RobustnessCheck(_Check):
    title: ClassVar[str] = "release › check robustness"

    type: Annotated[Literal["robustness"], Fold] = Field(description="robustness")
    data: Text = Field(description="Fixed, versioned hold-out of images.", json_schema_extra=fields.path())
    column: Text = Field("image", description="Column of the images.")
    target: Text = Field(description="Column of the true values.")
    metric: Text = Field(description="accuracy, f1 (macro), miou, pixel_accuracy, ...")
    corruptions: Annotated[list[Corruption], Many] = Field(
        default_factory=lambda: list(CORRUPTIONS),
        description="What is done to the images: noise, blur, contrast, brightness (default: each).",
    )
    severities: Annotated[list[Annotated[Int, Field(ge=1, le=5)]], Many] = Field(
        default_factory=lambda: [3], description="How much, 1 to 5, as in ImageNet-C (default: 3)."
    )
    at_least: Number | None = Field(None, description="Smallest value of any slice that passes.")
    at_most: Number | None = Field(None, description="Largest value of any slice that passes.")
    at_most_loss: Share | None = Field(
        None, description="Share of the whole hold-out's value that a slice may lose (0.3 is 30 %)."
    )
    min_rows: Annotated[Int, Field(ge=1)] = Field(30, description="Smaller slices are reported, not judged.")

    @model_validator(mode="after")
    def _decides(self) -> RobustnessCheck:
        if self.at_least is None and self.at_most is None and self.at_most_loss is None:
            raise ValueError("a robustness check needs 'at_least', 'at_most' or 'at_most_loss', or it decides nothing")
        return self


class EndpointPerformanceCheck(_Check):
    title: ClassVar[str] = "release › check endpoint_performance"

    type: Annotated[Literal["endpoint_performance"], Fold] = Field(description="endpoint_performance")
    rate: Annotated[Number, Field(gt=0)] = Field(description="Requests a second, sent whether answers come or not.")
    duration: Duration = Field(description="How long: 10s, 2m.")
    p50_ms: Milliseconds | None = Field(None, description="Largest median latency in milliseconds.")
    p95_ms: Milliseconds | None = Field(None, description="Largest 95th percentile of latency in milliseconds.")
    p99_ms: Milliseconds | None = Field(None, description="Largest 99th percentile of latency in milliseconds.")
    error_rate: Share | None = Field(None, description="Largest share of failed requests.")
    data: Text | None = Field(
        None,
        description="Rows to send (default: the model's input example or the hold-out).",
        json_schema_extra=fields.path(),
    )

    @model_validator(mode="after")
    def _decides(self) -> EndpointPerformanceCheck:
        if all(limit is None for limit in (self.p50_ms, self.p95_ms, self.p99_ms, self.error_rate)):
            raise ValueError("an endpoint_performance check needs 'p50_ms', 'p95_ms', 'p99_ms' or 'error_rate'")
        return self


class ScanCheck(_Check):
    title: ClassVar[str] = "release › check scan"

    type: Annotated[Literal["scan"], Fold] = Field(description="scan")
    model: Flag = Field(True, description="Look for unsafe code in the model's files.")
    packages: Flag = Field(True, description="Look for known vulnerabilities in the environment.")
    severity: Severity = Field("high", description="Vulnerabilities from this severity on fail the check.")
    allow: list[Text] = Field(default_factory=list, description="Identifiers of advisories that are accepted.")


def _check_type(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{str(kind or '').strip().lower()}>"


Check = Annotated[
    Annotated[DataQualityCheck, Tag("<data_quality>")]
    | Annotated[UnitTestsCheck, Tag("<unit_tests>")]
    | Annotated[ModelQualityCheck, Tag("<model_quality>")]
    | Annotated[ResponsibleAiCheck, Tag("<responsible_ai>")]
    | Annotated[CounterfactualCheck, Tag("<counterfactual>")]
    | Annotated[RobustnessCheck, Tag("<robustness>")]
    | Annotated[EndpointPerformanceCheck, Tag("<endpoint_performance>")]
    | Annotated[ScanCheck, Tag("<scan>")],
    Discriminator(_check_type),
]


class Approval(Spec):
    title: ClassVar[str] = "release › approval"

    personas: Annotated[list[Persona], Field(min_length=1)] = Field(description="Who may decide.")
    count: Annotated[Int, Field(ge=1)] = Field(1, description="How many different people must approve.")
    not_author: Flag = Field(True, description="Whoever made the model, job or release may not approve it.")
    expires: Duration = Field("7d", description="Time after which the release ends undecided.")


class Abort(Spec):
    title: ClassVar[str] = "release › rollout abort"

    error_rate: Share | None = Field(None, description="Share of failed requests above which it goes back.")
    p99_ms: Milliseconds | None = Field(None, description="99th percentile of latency above which it goes back.")


def _rising(steps: list[int]) -> list[int]:
    if steps != sorted(set(steps)) or steps[-1] != 100:
        raise ValueError(f"the steps {steps} must rise and end with 100")
    return steps


class Rollout(Spec):
    title: ClassVar[str] = "release › rollout"

    steps: Annotated[list[Annotated[Int, Field(ge=1, le=100)]], Field(min_length=1), AfterValidator(_rising)] = Field(
        default_factory=lambda: [100], description="Share of traffic at each step, in per cent; ends with 100."
    )
    bake: Duration = Field("60s", description="Time at each step before the next.")
    abort: Abort | None = Field(None, description="When to go back to the old deployment.")


class Stage(Spec):
    title: ClassVar[str] = "release › stage"

    workspace: Name = Field(description="Workspace of the stage.")
    name: LooseText | None = Field(None, description="What the stage is called (default: its workspace).")
    retrain: Retrain | None = Field(None, description="Train again here, on this workspace's data.")
    endpoint: OnlineEndpoint | None = Field(None, description="Endpoint file; made when the endpoint is missing.")
    deployment: OnlineDeployment | None = Field(None, description="Deployment file; its model is the released one.")
    checks: list[Check] = Field(default_factory=list, description="What must hold before the stage is passed.")
    approval: Approval | None = Field(None, description="Who must say yes before anything is deployed here.")
    rollout: Rollout | None = Field(None, description="How traffic moves to the new deployment.")
    monitor: Schedule | None = Field(None, description="Monitor schedule file, started once the stage is reached.")

    @model_validator(mode="after")
    def _fits(self) -> Stage:
        if self.rollout and not self.deployment:
            raise ValueError("a stage with 'rollout' needs a 'deployment'")
        if any(check.type == "endpoint_performance" for check in self.checks) and not self.deployment:
            raise ValueError("an endpoint_performance check needs a 'deployment' in its stage")
        if self.monitor and self.monitor.create_monitor is None:
            raise ValueError("'monitor' must be a schedule with 'create_monitor'")
        return self


class Release(Spec):
    title: ClassVar[str] = "release"

    schema_: Text | None = Field(None, alias="$schema", description="doubleloop/release")
    name: Name = Field(description="Name of the release definition.")
    description: LooseText | None = Field(None, description="What it releases.")
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    model: Text = Field(description="The model, as azureml:name; a version is not given.")
    trigger: Annotated[Literal["on_register", "manual"], Fold] = Field(
        "on_register", description="on_register: a new version starts it. manual: only by hand or by a rule."
    )
    scenario: Scenario = Field("classical", description="Sets the default reaction to an alert.")
    stages: Annotated[list[Stage], Field(min_length=1)] = Field(description="Workspaces on the way, in order.")


SUPPORT: dict[type[fields.Spec], support.Rows] = {
    Retrain: support.rows("job inputs experiment_name"),
    DataQualityCheck: support.rows("type name data contract"),
    UnitTestsCheck: support.rows("type name command code directory environment environment_variables timeout"),
    Champion: support.rows("tolerance"),
    ModelQualityCheck: support.rows("type name data target metric at_most at_least champion features"),
    ResponsibleAiCheck: support.rows(
        "type name data sensitive language_model metric target at_most at_least min_group_size"
    ),
    CounterfactualCheck: support.rows("type name data column swap at_most min_rows features"),
    RobustnessCheck: support.rows(
        "type name data column target metric corruptions severities at_least at_most at_most_loss min_rows"
    ),
    EndpointPerformanceCheck: support.rows("type name rate duration p50_ms p95_ms p99_ms error_rate data"),
    ScanCheck: support.rows("type name model packages severity allow"),
    Approval: support.rows("personas count not_author expires"),
    Abort: support.rows("error_rate p99_ms"),
    Rollout: support.rows("steps bake abort"),
    Stage: support.rows("workspace name retrain endpoint deployment checks approval rollout monitor"),
    Release: support.rows("$schema name description tags model trigger scenario stages"),
}
