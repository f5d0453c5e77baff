"""Jobs in environments that are really built, and with MLflow's own client when it is installed there."""

from __future__ import annotations

import pytest
from jobs_workshop import Workshop

from doubleloop.jobs import ports
from doubleloop.jobs.model import Status


@pytest.fixture
def built(shop: Workshop) -> Workshop:
    """The environments room itself, with its built environments shared by these tests."""
    del shop.house.ports[ports.Environments]
    return shop


@pytest.mark.slow
def test_a_job_runs_in_the_environment_its_conda_file_asks_for(built: Workshop) -> None:
    text = """
        type: command
        command: >-
          python -c "import sys, idna; print(idna.__version__, sys.prefix, file=open('${{outputs.seen}}', 'w'))"
        environment:
          image: mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04
          conda_file:
            dependencies: [python=3.11, pip, {pip: [idna==3.7]}]
        outputs: {seen: {type: uri_file}}
    """
    job = built.run(text)
    assert (job.status, job.error) == (Status.COMPLETED, "")
    version, prefix = built.text(job.outputs["seen"]).split()
    step = built.steps(job.id)["command"]
    assert version == "3.7"
    assert str(built.house.home) in prefix  # an overlay of the run's own, over the shared environment
    assert step.environment_lock
    assert len(built.facts("environment.built")) == 1
    again = built.run(text)
    assert built.steps(again.id)["command"].environment_lock == step.environment_lock
    assert len(built.facts("environment.built")) == 1


@pytest.mark.slow
def test_pins_that_do_not_exist_fail_the_step_with_the_line_of_the_conda_file(built: Workshop) -> None:
    job = built.run("""
        type: command
        command: echo never
        environment:
          conda_file:
            dependencies: [python=3.11, pip, {pip: [idna==999.0]}]
    """)
    assert job.status is Status.FAILED
    assert "idna" in job.error
    assert "idna" in built.log(job.id)
