"""``doubleloop/rule``: when a fact is written that fits, do something."""

from __future__ import annotations

import fnmatch
import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from doubleloop.base import ids
from doubleloop.specs import support
from doubleloop.specs.fields import Duration, Flag, Fold, Int, LooseText, Many, Name, Number, Scalar, Spec, Text
from doubleloop.specs.kinds.labeling import Labeling, Task
from doubleloop.specs.kinds.schedules import JobField
from doubleloop.specs.kinds.values import JobInput

# RFC 9110, 5.1: the characters of a header's name; and the headers that say how the body is sent.
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OURS = {
    "host", "content-length", "transfer-encoding", "connection", "x-doubleloop-signature", "idempotency-key",
    "x-doubleloop-redelivered",
}  # fmt: skip
# What is promised when a process dies, or a connection breaks, between sending and knowing that it was sent.
Promise = Annotated[Literal["at_most_once", "at_least_once"], Fold]


Criterion = Annotated[Literal["uncertainty", "diversity", "drift", "random"], Fold]


def _project_shape(value: Any) -> str:
    return "<reference>" if isinstance(value, str) else "<inline>"


def _sample(value: Any) -> Any:
    return {"count": value} if isinstance(value, int | str) and not isinstance(value, bool) else value


class Condition(Spec):
    """All that is given must hold. A field that the fact lacks fits only ``exists: false``."""

    title: ClassVar[str] = "rule › condition"

    in_: list[Scalar] | None = Field(None, alias="in", description="One of these values.")
    not_in: list[Scalar] | None = Field(None, description="None of these values.")
    at_least: Number | None = Field(None, description="A number not below this.")
    at_most: Number | None = Field(None, description="A number not above this.")
    matches: Text | None = Field(None, description="A text of this pattern, with * and ?.")
    exists: Flag | None = Field(None, description="Whether the fact has the field at all.")

    @model_validator(mode="after")
    def _decides(self) -> Condition:
        if not self.model_fields_set:
            raise ValueError("a condition needs one of: in, not_in, at_least, at_most, matches, exists")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"no number is at least {self.at_least:g} and at most {self.at_most:g}")
        return self


def _condition_shape(value: Any) -> str:
    return "<condition>" if isinstance(value, (dict, Spec)) else "<value>"


ConditionField = Annotated[
    Annotated[Scalar, Tag("<value>")] | Annotated[Condition, Tag("<condition>")], Discriminator(_condition_shape)
]


class RetrainData(Spec):
    title: ClassVar[str] = "rule › retrain data"

    asset: Text = Field(description="Data asset that the newest production data becomes a new version of.")
    input: Text | None = Field(None, description="Input of the retraining job that gets it.")
    target: Text | None = Field(None, description="Column that the true values are written to.")
    window: Duration = Field("30d", description="How far back the data reaches.")


class RetrainAction(Spec):
    title: ClassVar[str] = "rule › retrain"

    release: Name = Field(description="Release to start; its first retraining stage trains.")
    data: RetrainData | None = Field(None, description="Make a new data version first.")
    inputs: dict[str, JobInput] = Field(default_factory=dict, description="Inputs that replace the retraining job's.")


class StartReleaseAction(Spec):
    title: ClassVar[str] = "rule › start_release"

    release: Name = Field(description="Release to start.")
    model_version: LooseText | None = Field(
        None, description="Version (default: the one that was registered, else the newest); ${{fact.X}} is filled in."
    )


class ScaleAction(Spec):
    title: ClassVar[str] = "rule › scale"

    endpoint: Text = Field("${{fact.endpoint}}", description="Endpoint (default: the fact's).")
    deployment: Text | None = Field(None, description="Deployment (default: the one with most traffic).")
    instances: Annotated[Int, Field(ge=1, le=100)] | None = Field(None, description="Number of instances.")
    change: Annotated[Int, Field(ge=-99, le=99)] | None = Field(None, description="Instances more, or fewer (-1).")
    at_least: Annotated[Int, Field(ge=1, le=100)] = Field(1, description="Never fewer.")
    at_most: Annotated[Int, Field(ge=1, le=100)] = Field(100, description="Never more.")

    @model_validator(mode="after")
    def _one_of_both(self) -> ScaleAction:
        if (self.instances is None) == (self.change is None):
            raise ValueError("'scale' needs one of: instances, change")
        if self.change == 0:
            raise ValueError("'scale' by 0 changes nothing")
        if self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least} is over at_most {self.at_most}")
        return self


class NotifyAction(Spec):
    title: ClassVar[str] = "rule › notify"

    to: Annotated[list[Text], Many, Field(min_length=1)] = Field(
        description="Notification targets, addresses, or persona:NAME: its groups."
    )
    title_: LooseText | None = Field(None, alias="title", description="Heading; ${{fact.X}} is filled in.")
    message: LooseText | None = Field(None, description="Text; ${{fact.X}} is filled in (default: the fact).")
    delivery: Promise = Field(
        "at_most_once", description="at_most_once, or at_least_once: what may have gone goes again."
    )


class RollBackAction(Spec):
    title: ClassVar[str] = "rule › roll_back"

    endpoint: Text = Field("${{fact.endpoint}}", description="Endpoint (default: the fact's).")
    deployment: Text | None = Field(None, description="Deployment to go back to (default: the one before).")


class RunJobAction(Spec):
    title: ClassVar[str] = "rule › run_job"

    job: JobField = Field(description="Job file, or azureml:name of a past job.")
    workspace: Name | None = Field(None, description="Where (default: the fact's workspace).")
    inputs: dict[str, JobInput] = Field(default_factory=dict, description="Inputs; ${{fact.X}} is filled in.")


class WebhookAction(Spec):
    title: ClassVar[str] = "rule › webhook"

    url: Text = Field(description="Address that the fact is sent to as JSON.")
    headers: dict[str, LooseText] = Field(default_factory=dict, description="Headers; may use ${{secrets.NAME}}.")
    secret: Text | None = Field(None, description="Name of the workspace's secret that signs the body (HMAC-SHA256).")
    timeout: Duration = Field("10s", description="Longest time it may take.")
    delivery: Promise = Field("at_least_once", description="at_least_once (again under the same id), or at_most_once.")

    @model_validator(mode="after")
    def _web(self) -> WebhookAction:
        if not self.url.startswith(("https://", "http://", "${{secrets.")):
            raise ValueError(f"'{self.url}' is not an http or https address")
        for name, text in self.headers.items():
            if not _HEADER.fullmatch(name) or name.lower() in _OURS or not (text.isascii() and text.isprintable()):
                raise ValueError(f"'{name[:80]}: {text[:80]}' is no header that a webhook may send")
        return self


class Sample(Spec):
    """Which rows of the inference log people are asked about."""

    title: ClassVar[str] = "rule › open_labeling › sample"

    count: Annotated[Int, Field(ge=1, le=100_000)] = Field(200, description="Most items.")
    by: Annotated[list[Criterion], Many, Field(min_length=1)] = Field(
        ["uncertainty", "drift"],
        description="uncertainty, diversity, drift, random; of several, each gives its first in turn.",
    )
    probabilities: Annotated[list[Text], Many] = Field(
        default_factory=list, description="Columns of the answers that hold probabilities (default: found by name)."
    )
    columns: Annotated[list[Text], Many] = Field(
        default_factory=list,
        description="Numbers or vectors of the requests that drift and diversity are measured in (default: all, or "
        "what is told of texts and images).",
    )


class OpenLabelingAction(Spec):
    title: ClassVar[str] = "rule › open_labeling"

    project: Annotated[
        Annotated[Text, Tag("<reference>")] | Annotated[Labeling, Tag("<inline>")], Discriminator(_project_shape)
    ] = Field(description="File of a labelling project, or the name of one: the new project is like it.")
    task: Task | None = Field(
        None, description="For a name that no project has: its task; labels are the answers that were seen."
    )
    workspace: Name | None = Field(None, description="Where people label (default: the rule's workspace).")
    window: Duration = Field("7d", description="How far back production data is taken from.")
    sample: Annotated[Sample, BeforeValidator(_sample)] = Field(
        default_factory=lambda: Sample.model_validate({}), description="Which rows; a number alone is `count`."
    )
    assign_to: Annotated[list[Name], Many] = Field(default_factory=list, description="Groups who label.")

    @model_validator(mode="after")
    def _named(self) -> OpenLabelingAction:
        if isinstance(self.project, str) and not ids.is_name(self.project):
            raise ValueError(f"'{self.project}' is neither a file that ends in .yml nor a project's name")
        return self


class Action(Spec):
    """One thing to do: exactly one of the fields."""

    title: ClassVar[str] = "rule › do"

    retrain: RetrainAction | None = Field(None, description="Start a release that trains on new data.")
    start_release: StartReleaseAction | None = Field(None, description="Start a release.")
    notify: NotifyAction | None = Field(None, description="Send a message.")
    roll_back: RollBackAction | None = Field(
        None, description="Give an endpoint's traffic back to the deployment before."
    )
    scale: ScaleAction | None = Field(None, description="Give a deployment more or fewer instances.")
    run_job: RunJobAction | None = Field(None, description="Submit a job.")
    webhook: WebhookAction | None = Field(None, description="Send the fact to an address.")
    open_labeling: OpenLabelingAction | None = Field(None, description="Open a labelling project on production data.")

    @model_validator(mode="after")
    def _one(self) -> Action:
        if len(self.model_fields_set) != 1:
            raise ValueError(
                "every item of 'do' is one of: retrain, start_release, notify, roll_back, scale, run_job, webhook, "
                "open_labeling"
            )
        return self

    @property
    def verb(self) -> str:
        return next(iter(self.model_fields_set))


class RuleLimit(Spec):
    title: ClassVar[str] = "rule › limit"

    count: Annotated[Int, Field(ge=1)] = Field(description="Most times it may act.")
    per: Duration = Field("1d", description="In this span.")


def _count(value: Any) -> Any:
    return {"count": value} if isinstance(value, (int, str)) and not isinstance(value, bool) else value


class Rule(Spec):
    title: ClassVar[str] = "rule"

    schema_: Text | None = Field(None, alias="$schema", description="doubleloop/rule")
    name: Name = Field(description="Name of the rule.")
    description: LooseText | None = Field(None, description="What it is for.")
    on: Text = Field(description="Type of fact: monitor.alert, model.registered, ...; * stands for any part.")
    where: dict[str, ConditionField] = Field(
        default_factory=dict, description="Conditions on the fact's fields, by dotted name; all must hold."
    )
    do: Annotated[list[Action], Many, Field(min_length=1)] = Field(description="What to do, in order.")
    cool_down: Duration | None = Field(None, description="Time after acting in which it stays quiet.")
    limit: Annotated[RuleLimit, BeforeValidator(_count)] | None = Field(
        None, description="{count, per}, or a number of times a day."
    )
    enabled: Flag = Field(True, description="false: kept, and never acts.")


def fits(rule: Rule, fact_type: str, body: dict[str, Any]) -> bool:
    """Whether a fact (its type and its fields, nested ones by dotted name) is one that ``rule`` acts on."""
    if not rule.enabled or not fnmatch.fnmatchcase(fact_type, rule.on):
        return False
    return all(_holds(condition, *_lookup(body, name)) for name, condition in rule.where.items())


def _lookup(body: Any, name: str) -> tuple[bool, Any]:
    for part in name.split("."):
        if not isinstance(body, dict) or part not in body:
            return False, None
        body = body[part]
    return True, body


def _holds(condition: Any, found: bool, value: Any) -> bool:
    if not isinstance(condition, Condition):
        return found and _same(condition, value)
    if condition.exists is not None and condition.exists != found:
        return False
    if not found:
        return condition.exists is False
    tests = (
        condition.in_ is None or any(_same(item, value) for item in condition.in_),
        condition.not_in is None or not any(_same(item, value) for item in condition.not_in),
        condition.at_least is None or (_is_number(value) and value >= condition.at_least),
        condition.at_most is None or (_is_number(value) and value <= condition.at_most),
        condition.matches is None or (isinstance(value, str) and fnmatch.fnmatchcase(value, condition.matches)),
    )
    return all(tests)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(wanted: Any, value: Any) -> bool:
    """Equal, with true and 1 kept apart."""
    return wanted == value and isinstance(wanted, bool) == isinstance(value, bool)


SUPPORT: dict[type[Spec], support.Rows] = {
    Condition: support.rows("in not_in at_least at_most matches exists"),
    RetrainData: support.rows("asset input target window"),
    RetrainAction: support.rows("release data inputs"),
    StartReleaseAction: support.rows("release model_version"),
    ScaleAction: support.rows("endpoint deployment instances change at_least at_most"),
    NotifyAction: support.rows("to title message delivery"),
    RollBackAction: support.rows("endpoint deployment"),
    RunJobAction: support.rows("job workspace inputs"),
    WebhookAction: support.rows("url headers secret timeout delivery"),
    Sample: support.rows("count by probabilities columns"),
    OpenLabelingAction: support.rows("project task workspace window sample assign_to"),
    Action: support.rows("retrain start_release notify roll_back scale run_job webhook open_labeling"),
    RuleLimit: support.rows("count per"),
    Rule: support.rows("$schema name description on where do cool_down limit enabled"),
}
