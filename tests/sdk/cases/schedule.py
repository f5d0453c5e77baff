from doubleloop.sdk import Input, dsl, load_component
from doubleloop.sdk.constants import TimeZone
from doubleloop.sdk.entities import JobSchedule, RecurrencePattern, RecurrenceTrigger

train = load_component("train.yml")


@dsl.pipeline(default_compute="cpu-cluster")
def nightly(data: Input):
    fit = train(data=data, rate=0.5)
    return {"model": fit.outputs.model}


entity = JobSchedule(
    name="every-night",
    trigger=RecurrenceTrigger(
        frequency="week",
        interval=1,
        schedule=RecurrencePattern(hours=3, minutes=[0, 30], week_days=["monday", "friday"]),
        start_time="2026-01-01T00:00:00",
        time_zone=TimeZone.EASTERN_STANDARD_TIME,
    ),
    create_job=nightly(data=Input(type="uri_folder", path="azureml:rides:2")),
)
