"""``doubleloop batch-endpoint``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doubleloop.base import errors
from doubleloop.cli import options, output, tree
from doubleloop.cli.nouns import batch_deployment

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_COLUMNS = (
    output.Column("Name", "name"),
    output.Column("Default", "defaults.deployment_name"),
    output.Column("Scoring URI", "scoring_uri"),
    output.Column("Created", "created_at", output.when),
    output.Column("By", "created_by"),
)
# What the data of `--input` is called: the deployment of a model does not care, a pipeline takes it for its only data.
_UNNAMED = "job_data_path"


@click.group("batch-endpoint", cls=tree.Verbs)
def GROUP() -> None:
    """Endpoints that score files, and their invocations."""


def _put(session: Session, file: str | None, sets: tuple[str, ...], **given: Any) -> Any:
    from doubleloop.cli import files

    document = files.read(session, file, "batch_endpoint", options.pairs(sets, "--set"), **given)
    return session.workspace.batch_endpoints.put(files.ship(session, document))


@GROUP.command("create", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("--description", metavar="TEXT", help="What it answers.")
@click.option("--auth-mode", metavar="MODE", help="aad_token; callers show a token of this installation.")
@options.no_wait()
@options.shared()
def create(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, description: str | None,
    auth_mode: str | None, no_wait: bool,
) -> Any:  # fmt: skip
    """Make an endpoint. An existing one is changed to what the file says."""
    return _put(session, file, sets, name=name, description=description, auth_mode=auth_mode)


@GROUP.command("update", cls=options.Verb)
@options.file()
@options.name(required=False)
@click.option("--description", metavar="TEXT", help="What it answers.")
@click.option("--defaults", metavar="NAME", help="The deployment that answers when none is named.")
@options.no_wait()
@options.shared()
def update(
    session: Session, file: str | None, sets: tuple[str, ...], name: str | None, description: str | None,
    defaults: str | None, no_wait: bool,
) -> Any:  # fmt: skip
    """Change an endpoint: --set defaults.deployment_name=NAME is what it is mostly used for."""
    if name and not file:
        session.workspace.batch_endpoints.show(name)
    more = (f"defaults.deployment_name={defaults.removeprefix('deployment_name=')}",) if defaults else ()
    return _put(session, file, (*sets, *more), name=name, description=description)


@GROUP.command("list", cls=options.Verb)
@options.limit()
@options.shared()
def list_(session: Session, limit: int | None) -> output.Shown:
    """All batch endpoints of the workspace."""
    return output.Shown(session.workspace.batch_endpoints.list(limit), _COLUMNS)


@GROUP.command("show", cls=options.Verb)
@options.name()
@options.shared()
def show(session: Session, name: str) -> Any:
    """One endpoint."""
    return session.workspace.batch_endpoints.show(name)


@GROUP.command("delete", cls=options.Verb)
@options.name()
@options.yes()
@options.no_wait()
@options.shared()
def delete(session: Session, name: str, yes: bool, no_wait: bool) -> None:
    """Delete an endpoint with its deployments. Its jobs and what they left stay."""
    session.confirm(f"Delete batch endpoint {name} and its deployments?", yes)
    session.workspace.batch_endpoints.delete(name)
    session.note(f"Batch endpoint {name} is deleted.")


@GROUP.command("list-jobs", cls=options.Verb)
@options.name()
@options.shared()
def list_jobs(session: Session, name: str) -> output.Shown:
    """The jobs that invocations started, newest first."""
    return output.Shown(session.workspace.batch_endpoints.jobs(name), batch_deployment.JOBS)


@GROUP.command("invoke", cls=options.Verb)
@options.name()
@click.option("-d", "--deployment-name", "--deployment", "deployment", metavar="NAME", help="Not the default one.")
@click.option("-f", "--file", "--f", "file", metavar="FILE", help="YAML file with `inputs:` and `outputs:`.")
@click.option("--input", "input_", metavar="DATA", help="File, folder, azureml:NAME:VERSION or address to score.")
@click.option("--input-type", metavar="TYPE", help="uri_folder, uri_file or mltable  [default: what is there]")
@click.option("--inputs", multiple=True, metavar="NAME=VALUE", help="Inputs by name: data, or values of a pipeline.")
@click.option("--outputs", multiple=True, metavar="NAME=PATH", help="Where outputs go.")
@click.option("--output-path", metavar="PATH", help="azureml://datastores/STORE/paths/PATH for what is scored.")
@click.option("--output-file-name", metavar="NAME", help="File that rows are appended to.")
@click.option("--mini-batch-size", type=click.IntRange(1), metavar="N", help="Files per call of run().")
@click.option("--instance-count", "-c", type=click.IntRange(1), metavar="N", help="Has no effect here.")
@click.option("--experiment-name", "-e", "experiment", metavar="NAME", help="Experiment of the run.")
@click.option("--job-name", metavar="NAME", help="Name of the job.")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="Change any setting for this call.")
@click.option("-s", "--stream", is_flag=True, help="Show the log until it ends; exit 1 when it fails.")
@options.shared()
def invoke(
    session: Session, name: str, deployment: str | None, file: str | None, input_: str | None, input_type: str | None,
    inputs: tuple[str, ...], outputs: tuple[str, ...], output_path: str | None, output_file_name: str | None,
    mini_batch_size: int | None, instance_count: int | None, experiment: str | None, job_name: str | None,
    sets: tuple[str, ...], stream: bool,
) -> Any:  # fmt: skip
    """Score files: starts a job and prints it. Its result: `doubleloop job download -n JOB --output-name score`."""
    from doubleloop.cli import files, follow

    given = {_UNNAMED: _data(input_, input_type)} if input_ else {}
    given |= {key: _named(value) for key, value in options.pairs(inputs, "--inputs")}
    written: dict[str, Any] = {key: {"path": value} for key, value in options.pairs(outputs, "--outputs")}
    if output_path:
        written["score"] = {"type": "uri_folder", "path": output_path}
    pairs = [
        *((f"inputs.{key}", json.dumps(value)) for key, value in given.items()),
        *((f"outputs.{key}", json.dumps(value)) for key, value in written.items()),
        *((key.removeprefix("settings."), value) for key, value in options.pairs(sets, "--set")),
    ]
    document = files.read(
        session, file, "batch_invocation", pairs, deployment_name=deployment, experiment_name=experiment,
        output_file_name=output_file_name, mini_batch_size=mini_batch_size, instance_count=instance_count,
    ) if file or pairs or deployment or experiment else files.empty("batch_invocation")  # fmt: skip
    found = session.workspace.batch_endpoints.invoke(name, files.ship(session, document), job_name)
    session.note(f"Job {found['id']} is {found['status']}. Its log: `doubleloop job stream -n {found['id']}`.")
    return follow.job(session, found["id"]) if stream else found


def _data(text: str, type_: str | None) -> dict[str, Any]:
    """What ``--input`` names: a path from where the person is, an asset, an address."""
    from doubleloop.specs import references

    if not references.is_local(text):
        return {"type": type_ or "uri_folder", "path": text}
    path = Path(text).expanduser().absolute()
    if not path.exists():
        raise errors.InvalidInput(
            f"There is nothing at {text}", cure="Correct --input; a data asset is written azureml:NAME:VERSION."
        )
    found = "uri_file" if path.is_file() else "mltable" if (path / "MLTable").is_file() else "uri_folder"
    return {"type": type_ or found, "path": str(path)}


def _named(text: str) -> Any:
    """The value of ``--inputs NAME=VALUE``: data when it is a reference or a path that is there, else a value."""
    from doubleloop.specs import references

    if not references.is_local(text) or Path(text).expanduser().exists():
        return _data(text, None)
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str | int | float | bool) else text
