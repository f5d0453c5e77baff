"""Schedules: a trigger, and what it starts, a job or a monitor."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from doubleloop.specs import support, timezones
from doubleloop.specs.fields import Accepted, Fold, Int, LooseText, Many, Moment, Name, Spec, Tags, Text, Variables
from doubleloop.specs.kinds.environment import EnvironmentField
from doubleloop.specs.kinds.graphs import PipelineJob, Settings
from doubleloop.specs.kinds.jobs import CommandJob, Limits, Resources
from doubleloop.specs.kinds.monitors import Monitor
from doubleloop.specs.kinds.values import JobInput, JobOutput


def _zone(value: str) -> str:
    timezones.find(value)
    return value


_CRON_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    ("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_CRON_ITEM = re.compile(r"^(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[1-9]\d*))?$")


def _cron(value: str) -> str:
    """Five fields of numbers, names, ranges, lists and steps; what they mean is reckoned in ``triggers``."""
    fields = value.split()
    if len(fields) != len(_CRON_FIELDS):
        raise ValueError(
            f"'{value}' is not a cron expression: write minute, hour, day of month, month and day of week, "
            "as in '15 10 * * 1'"
        )
    for field, (name, low, high, names) in zip(fields, _CRON_FIELDS, strict=True):
        for item in field.lower().split(","):
            match = _CRON_ITEM.match(item)
            bounds = (
                [_cron_number(text, low, names) for text in (match["first"], match["last"]) if text] if match else []
            )
            if not match or any(number is None or not low <= number <= high for number in bounds):
                raise ValueError(f"'{value}' is not a cron expression: '{item}' is not a {name} ({low} to {high})")
            if len(bounds) == 2 and bounds[0] > bounds[1]:  # type: ignore[operator]
                raise ValueError(f"'{value}' is not a cron expression: the range '{item}' runs backwards")
    return value


def _cron_number(text: str, low: int, names: tuple[str, ...]) -> int | None:
    if text.isdigit():
        return int(text)
    return names.index(text) + low if text in names else None


Zone = Annotated[Text, AfterValidator(_zone)]
Hour = Annotated[Int, Field(ge=0, le=23)]
Minute = Annotated[Int, Field(ge=0, le=59)]
MonthDay = Annotated[Int, Field(ge=1, le=31)]
WeekDay = Annotated[Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"], Fold]


class CronTrigger(Spec):
    title: ClassVar[str] = "schedule › cron trigger"

    type: Annotated[Literal["cron"], Fold] = Field(description="cron")
    expression: Annotated[Text, AfterValidator(_cron)] = Field(
        description="Minute, hour, day of month, month, day of week; as in '15 10 * * 1'."
    )
    start_time: Moment | None = Field(None, description="Not before this time; without an offset in time_zone.")
    end_time: Moment | None = Field(None, description="Not after this time; without an offset in time_zone.")
    time_zone: Zone = Field("UTC", description="Windows name (Pacific Standard Time) or IANA name (Europe/Rome).")


class Pattern(Spec):
    title: ClassVar[str] = "schedule › recurrence pattern"

    hours: Annotated[list[Hour], Many] = Field(description="Hours of the day, 0 to 23.")
    minutes: Annotated[list[Minute], Many] = Field(description="Minutes of the hour, 0 to 59.")
    week_days: Annotated[list[WeekDay], Many] | None = Field(None, description="Days of the week (frequency week).")
    month_days: Annotated[list[MonthDay], Many] | None = Field(None, description="Days of the month (frequency month).")


class RecurrenceTrigger(Spec):
    title: ClassVar[str] = "schedule › recurrence trigger"

    type: Annotated[Literal["recurrence"], Fold] = Field(description="recurrence")
    frequency: Annotated[Literal["minute", "hour", "day", "week", "month"], Fold] = Field(
        description="minute, hour, day, week or month."
    )
    interval: Annotated[Int, Field(ge=1)] = Field(description="Every so many of them.")
    schedule: Pattern | None = Field(None, description="The times within a day, week or month.")
    start_time: Moment | None = Field(None, description="Not before this time; intervals count from it.")
    end_time: Moment | None = Field(None, description="Not after this time.")
    time_zone: Zone = Field("UTC", description="Windows name (Pacific Standard Time) or IANA name (Europe/Rome).")

    @model_validator(mode="after")
    def _days_fit(self) -> RecurrenceTrigger:
        if self.schedule and self.schedule.week_days and self.frequency != "week":
            raise ValueError(f"'week_days' needs frequency week, not {self.frequency}")
        if self.schedule and self.schedule.month_days and self.frequency != "month":
            raise ValueError(f"'month_days' needs frequency month, not {self.frequency}")
        return self


def _trigger_type(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{str(kind or '').strip().lower()}>"


Trigger = Annotated[
    Annotated[CronTrigger, Tag("<cron>")] | Annotated[RecurrenceTrigger, Tag("<recurrence>")],
    Discriminator(_trigger_type),
]


def _job_shape(value: Any) -> str:
    if isinstance(value, str):
        return "<reference>"
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "<pipeline>" if str(kind or "command").lower() == "pipeline" else "<command>"


JobField = Annotated[
    Annotated[Text, Tag("<reference>")]
    | Annotated[CommandJob, Tag("<command>")]
    | Annotated[PipelineJob, Tag("<pipeline>")],
    Discriminator(_job_shape),
]


class CreateJob(Spec):
    """A job and what to change in it each time. ``job`` is a file or the name of a job that ran before."""

    title: ClassVar[str] = "schedule › create_job"

    job: JobField = Field(description="Job file, inline job, or azureml:name of a job that ran before.")
    type: Annotated[Literal["command", "pipeline"], Fold] | None = Field(None, description="command or pipeline.")
    name: Text | None = Field(None, description="Not used: every run gets a new name.")
    display_name: LooseText | None = Field(None, description="What people see.")
    description: LooseText | None = Field(None, description="What it does.")
    experiment_name: Text | None = Field(None, description="Experiment that the runs are recorded in.")
    tags: Tags = Field(default_factory=dict, description="Added to the job's tags.")
    properties: Tags = Field(default_factory=dict, description="Added to the job's properties.")
    inputs: dict[str, JobInput] = Field(default_factory=dict, description="Inputs that replace the job's.")
    outputs: dict[str, JobOutput] = Field(default_factory=dict, description="Outputs that replace the job's.")
    compute: Text | None = Field(None, description="Replaces the job's compute.")
    settings: Settings | None = Field(None, description="Replaces fields of a pipeline's settings.")
    environment: EnvironmentField | None = Field(None, description="Replaces a command job's environment.")
    environment_variables: Variables = Field(default_factory=dict, description="Added to the job's.")
    limits: Limits | None = Field(None, description="Replaces a command job's limits.")
    resources: Resources | None = Field(None, description="Replaces a command job's resources.")
    distribution: Accepted | None = Field(None, description="Several processes.")
    identity: Accepted | None = Field(None, description="Azure identity of the job.")
    services: Accepted | None = Field(None, description="Interactive services beside the job.")
    queue_settings: Accepted | None = Field(None, description="Tier and priority in Azure's queue.")
    parent_job_name: Text | None = Field(None, description="Job that the runs are recorded under.")


def _create_job_shape(value: Any) -> str:
    return "<reference>" if isinstance(value, str) else "<job>"


class Schedule(Spec):
    title: ClassVar[str] = "schedule"

    schema_: Text | None = Field(None, alias="$schema", description="Names the kind of this file.")
    name: Name = Field(description="Name of the schedule.")
    display_name: LooseText | None = Field(None, description="What people see.")
    description: LooseText | None = Field(None, description="What it is for.")
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    properties: Tags = Field(default_factory=dict, description="Free values kept with it.")
    trigger: Trigger = Field(description="When: cron or recurrence.")
    create_job: (
        Annotated[
            Annotated[Text, Tag("<reference>")] | Annotated[CreateJob, Tag("<job>")], Discriminator(_create_job_shape)
        ]
        | None
    ) = Field(None, description="The job to start: file, azureml:name, or job with changes.")
    create_monitor: Monitor | None = Field(None, description="The monitor to run.")
    import_data: Accepted | None = Field(None, description="Data import of Azure.")


SUPPORT: dict[type[Spec], support.Rows] = {
    CronTrigger: support.rows("type expression start_time end_time time_zone"),
    Pattern: support.rows("hours minutes week_days month_days"),
    RecurrenceTrigger: support.rows("type frequency interval schedule start_time end_time time_zone"),
    CreateJob: support.rows(
        "job type display_name description experiment_name tags properties inputs outputs compute settings "
        "environment environment_variables limits resources parent_job_name",
        {
            "name": "has no effect: every run gets a new name",
            "distribution": support.ONE_PROCESS,
            "identity": support.IDENTITY,
            "services": support.SERVICES,
            "queue_settings": support.QUEUE,
        },
    ),
    Schedule: support.rows(
        "$schema name display_name description tags properties trigger create_job create_monitor",
        refused={
            "import_data": (
                "is not served",
                "schedule a command job that fetches the data and writes it to an output",
            )
        },
    ),
}
