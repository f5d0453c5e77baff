"""Composes a pipeline of two steps in Python, runs it, and reads what it left as a data frame.

    doubleloop up --detach
    doubleloop workspace use dev
    python examples/sdk/rides.py

Needs no file beside it: both steps are a line of shell each.
"""

from __future__ import annotations

from doubleloop.sdk import Environment, Input, MLClient, Output, command, dsl

PYTHON = Environment(conda_file={"dependencies": ["python=3.11"]})

make = command(
    display_name="Make rides",
    command=(
        "python -c \"print('hour,rides'); [print(f'{h},{(h * 37) % 100}') for h in range(${{inputs.hours}})]\""
        " > ${{outputs.rides}}"
    ),
    environment=PYTHON,
    inputs={"hours": 24},
    outputs={"rides": Output(type="uri_file")},
)
busiest = command(
    display_name="Keep the busy hours",
    command="awk -F, 'NR == 1 || $2 >= ${{inputs.least}}' ${{inputs.rides}} > ${{outputs.busy}}/busy.csv",
    environment=PYTHON,
    inputs={"rides": Input(type="uri_file"), "least": 50},
    outputs={"busy": Output(type="uri_folder")},
)


@dsl.pipeline(experiment_name="rides")
def busy_hours(hours: int = 24, least: int = 50):
    """Which hours have many rides."""
    rides = make(hours=hours)
    busy = busiest(rides=rides.outputs.rides, least=least)
    return {"busy": busy.outputs.busy}


def main() -> None:
    with MLClient.from_login() as client:
        job = client.jobs.create_or_update(busy_hours(least=80))
        job.stream()
        print(job.outputs["busy"].to_frame())


if __name__ == "__main__":
    main()
