"""Which kind of document a file is: by its ``$schema``, its ``type``, its shape, or what the caller expects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from doubleloop.base import errors
from doubleloop.specs import fields, refusals, sources
from doubleloop.specs.kinds import (
    assets,
    automl,
    batch,
    contracts,
    environment,
    graphs,
    jobs,
    labeling,
    online,
    parallel,
    places,
    releases,
    rules,
    schedules,
    setups,
    spark,
    sweeps,
)

MODELS: dict[str, type[fields.Spec]] = {
    "data": assets.Data,
    "environment": environment.EnvironmentAsset,
    "model": assets.ModelAsset,
    "datastore": places.Datastore,
    "compute": places.Compute,
    "workspace": places.Workspace,
    "registry": places.Registry,
    "command_job": jobs.CommandJob,
    "pipeline_job": graphs.PipelineJob,
    "sweep_job": sweeps.SweepJob,
    "parallel_job": parallel.ParallelJob,
    "spark_job": spark.SparkJob,
    "automl_job": automl.AutomlJob,
    "command_component": jobs.CommandComponent,
    "pipeline_component": graphs.PipelineComponent,
    "parallel_component": parallel.ParallelComponent,
    "spark_component": spark.SparkComponent,
    "online_endpoint": online.OnlineEndpoint,
    "online_deployment": online.OnlineDeployment,
    "batch_endpoint": batch.BatchEndpoint,
    "batch_deployment": batch.BatchDeployment,
    "batch_invocation": batch.BatchInvocation,
    "schedule": schedules.Schedule,
    "setup": setups.Setup,
    "release": releases.Release,
    "rule": rules.Rule,
    "contract": contracts.Contract,
    "labeling": labeling.Labeling,
}

# What a caller may expect: a kind, or one of these families (the nouns of the command line).
FAMILIES = {
    "job": ("command_job", "pipeline_job", "sweep_job", "parallel_job", "spark_job", "automl_job"),
    "component": ("command_component", "pipeline_component", "parallel_component", "spark_component"),
}
FOREIGN = {"kind": "foreign"}  # the details of the error about a file that is none of all these
OWN = ("setup", "release", "rule", "contract", "labeling")
LATER = ("package-policy", "policy")

_SCHEMAS = {
    "commandjob": "job",
    "pipelinejob": "job",
    "sweepjob": "job",
    "paralleljob": "job",
    "automljob": "job",
    "sparkjob": "job",
    "importjob": "job",
    "finetuningjob": "job",
    "commandcomponent": "component",
    "pipelinecomponent": "component",
    "parallelcomponent": "component",
    "sparkcomponent": "component",
    "component": "component",
    "environment": "environment",
    "data": "data",
    "model": "model",
    "managedonlineendpoint": "online_endpoint",
    "onlineendpoint": "online_endpoint",
    "managedonlinedeployment": "online_deployment",
    "onlinedeployment": "online_deployment",
    "kubernetesonlineendpoint": "kubernetes_online_endpoint",
    "kubernetesonlinedeployment": "kubernetes_online_deployment",
    "batchendpoint": "batch_endpoint",
    "batchdeployment": "batch_deployment",
    "modelbatchdeployment": "batch_deployment",
    "pipelinecomponentbatchdeployment": "batch_deployment",
    "amlcompute": "compute",
    "computeinstance": "compute",
    "vmcompute": "compute",
    "virtualmachinecompute": "compute",
    "kubernetescompute": "compute",
    "synapsesparkcompute": "compute",
    "compute": "compute",
    "azureblob": "datastore",
    "azurefile": "datastore",
    "azuredatalakegen1": "datastore",
    "azuredatalakegen2": "datastore",
    "onelake": "datastore",
    "datastore": "datastore",
    "workspace": "workspace",
    "schedule": "schedule",
    "monitorschedule": "schedule",
    "dataimport": "data_import",
    "connection": "connection",
    "workspaceconnection": "connection",
    "modelversionpackage": "model_package",
    "modelpackage": "model_package",
    "registry": "registry",
    "featureset": "feature_set",
    "featurestore": "feature_store",
    "featurestoreentity": "feature_store_entity",
    "featureset_spec": "feature_set",
    "featuresetspec": "feature_set",
    "deploymenttemplate": "deployment_template",
    "serverlessendpoint": "serverless_endpoint",
    "marketplacesubscription": "marketplace_subscription",
    "index": "index",
    "capabilityhost": "capability_host",
    "evaluator": "evaluator",
    "hub": "workspace",
    "project": "workspace",
    "parallelrunjob": "job",
    "distillationjob": "job",
    "sweepcomponent": "component",
    "automlcomponent": "component",
    "importcomponent": "component",
    "datatransfercomponent": "component",
    "datatransferjob": "job",
    "flow": "flow",
    "run": "flow",
}  # fmt: skip

_DATA_TYPES = ("uri_file", "uri_folder", "mltable")
_MODEL_TYPES = ("custom_model", "mlflow_model", "triton_model")
_COMPUTE_TYPES = ("amlcompute", "computeinstance", "virtualmachine", "kubernetes", "synapsespark", "local")
_JOB_TYPES = {
    "command": "command_job",
    "pipeline": "pipeline_job",
    "sweep": "sweep_job",
    "parallel": "parallel_job",
    "automl": "automl_job",
    "spark": "spark_job",
    "import": "import_job",
    "finetuning": "finetuning_job",
    "distillation": "distillation_job",
    "data_transfer": "data_transfer_job",
}
# Fields that components have and jobs do not.
_COMPONENTS_ALONE = ("version", "is_deterministic", "additional_includes")
_COMPONENT_TYPES = {
    "command": "command_component",
    "pipeline": "pipeline_component",
    "spark": "spark_component",
    "parallel": "parallel_component",
    "sweep": "sweep_component",
    "automl": "automl_component",
    "import": "import_component",
    "data_transfer": "data_transfer_component",
}
_CURE = (
    "add a line such as '$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json' "
    "or '$schema: doubleloop/release'"
)

Data = dict[str, Any]


def find(data: Data, source: sources.Source, expected: str | None = None) -> str:
    """The kind of ``data``. ``expected`` is a kind or a family (job, component) that the caller asks for.

    Raises InvalidInput when it cannot be told or is not what was expected, NotSupported for a kind that is
    recognised and not served.
    """
    expected = expected.replace("-", "_") if expected else None
    written = _by_schema(data, source)
    is_unserved = written in refusals.DOCUMENTS  # told as what it is, whatever was asked for
    family = expected if expected in (*MODELS, *FAMILIES) and not is_unserved else written or _by_shape(data)
    if expected and written and written in OWN and written != expected:
        raise errors.InvalidInput(
            f"the file is a {written}, and a {expected.replace('_', ' ')} was expected",
            where=source.where("$schema"),
            cure="give another file, or use the command for this kind",
        )
    kind = _narrow(family, data, source) if family else None
    if kind in refusals.DOCUMENTS:
        what, cure = refusals.DOCUMENTS[kind]
        raise errors.NotSupported(f"{what} are not served yet", where=source.where("type"), cure=cure)
    if kind is None:
        what, cure = next((told for fits, *told in _FOREIGN if fits(data)), _UNKNOWN)
        raise errors.InvalidInput(what, where=source.where(), cure=cure, details=FOREIGN)
    return kind


def _type(data: Data) -> str:
    return str(data.get("type") or "").strip().lower()


def _by_schema(data: Data, source: sources.Source) -> str | None:
    text = data.get("$schema")
    if not isinstance(text, str):
        return None
    text = text.strip()
    if text.startswith("doubleloop/"):
        kind = text.removeprefix("doubleloop/")
        if kind in LATER:
            raise errors.NotSupported(
                f"'{text}' files are not served yet",
                where=source.where("$schema"),
                cure=f"served now: {', '.join(OWN)}",
            )
        if kind not in OWN:
            raise errors.InvalidInput(
                f"'{text}' is not a kind of file",
                where=source.where("$schema"),
                cure=f"write one of: {', '.join('doubleloop/' + name for name in OWN)}",
            )
        return kind
    name = text.rstrip("/").rsplit("/", 1)[-1].lower().removesuffix(".json").removesuffix(".schema")
    return _SCHEMAS.get(name)


def _narrow(family: str, data: Data, source: sources.Source) -> str:
    """A family and the file's ``type`` as one kind."""
    if family == "job" or family in FAMILIES["job"]:
        default = "pipeline" if family == "pipeline_job" or "jobs" in data else "command"
        return _typed(_JOB_TYPES, default, data, source)
    if family == "component" or family in FAMILIES["component"]:
        default = "pipeline" if family == "pipeline_component" or "jobs" in data else "command"
        return _typed(_COMPONENT_TYPES, default, data, source)
    if family == "online_deployment" and _type(data) == "kubernetes":
        return "kubernetes_online_deployment"
    if family == "data" and "source" in data:
        return "data_import"
    return family


def _typed(kinds: dict[str, str], default: str, data: Data, source: sources.Source) -> str:
    name = _type(data) or default
    if name not in kinds:
        raise errors.InvalidInput(
            f"'{name}' is not a type of job or component",
            where=source.where("type"),
            cure=f"write one of: {', '.join(kinds)}",
        )
    return kinds[name]


def _by_shape(data: Data) -> str | None:
    return next((kind for kind, fits in _SHAPES if fits(data)), None)


def _runs(data: Data) -> bool:
    return "command" in data or "jobs" in data or _type(data) in ("parallel", "spark")


def _is_component(data: Data) -> bool:
    """Components declare: they have a version, or inputs with a type and without a value."""
    inputs = data.get("inputs")
    declared = isinstance(inputs, dict) and any(
        isinstance(item, dict) and ("optional" in item or "default" in item) for item in inputs.values()
    )
    return "name" in data and (declared or any(field in data for field in _COMPONENTS_ALONE))


_UNKNOWN = ("cannot tell what kind of file this is", _CURE)
# Files that lie beside those of Azure ML and are part of them, each with what they are and where they belong.
_FOREIGN: tuple[tuple[Callable[[Data], bool], str, str], ...] = (
    (
        lambda data: isinstance(data.get("dependencies"), list),
        "this is a conda file, not an asset",
        "name it in an environment: 'conda_file: FILE', or give it to `environment create --conda-file FILE`",
    ),
    (
        lambda data: isinstance(data.get("paths"), list),
        "this is an MLTable file, not an asset",
        "name its folder in a data asset: 'type: mltable' and 'path: FOLDER'",
    ),
    (
        lambda data: isinstance(data.get("flavors"), dict),
        "this is an MLmodel file, not an asset",
        "name its folder in a model: 'type: mlflow_model' and 'path: FOLDER'",
    ),
    (
        lambda data: isinstance(data.get("services"), dict) or ("on" in data and isinstance(data.get("jobs"), dict)),
        "this is a file of another tool, not of Azure ML",
        "give a file with a '$schema' line, or one whose fields are those of docs/reference-fields.md",
    ),
)

_SHAPES: tuple[tuple[str, Callable[[Data], bool]], ...] = (
    ("schedule", lambda data: isinstance(data.get("trigger"), dict)),
    ("release", lambda data: "stages" in data and "model" in data),
    ("rule", lambda data: "on" in data and "do" in data),
    ("component", lambda data: _runs(data) and _is_component(data)),
    (
        "job",
        lambda data: (
            "command" in data or "jobs" in data or _type(data) in ("pipeline", "sweep", "automl", "spark", "parallel")
        ),
    ),
    ("job", lambda data: _type(data) in ("finetuning", "distillation", "parallel", "import")),
    ("registry", lambda data: "replication_locations" in data),
    ("model_package", lambda data: "inferencing_server" in data and "target_environment" in data),
    ("serverless_endpoint", lambda data: "model_id" in data and "name" in data),
    ("deployment_template", lambda data: "deployment_template_type" in data),
    ("feature_set", lambda data: "specification" in data and "entities" in data),
    ("feature_store_entity", lambda data: "index_columns" in data),
    ("feature_store", lambda data: bool({"offline_store", "online_store", "compute_runtime"} & set(data))),
    ("flow", lambda data: "nodes" in data and "outputs" in data),
    ("batch_deployment", lambda data: bool({"mini_batch_size", "output_action", "job_definition"} & set(data))),
    ("batch_deployment", lambda data: "endpoint_name" in data and ("settings" in data or "resources" in data)),
    ("online_deployment", lambda data: bool({"endpoint_name", "instance_type", "scale_settings"} & set(data))),
    ("batch_endpoint", lambda data: "defaults" in data and "name" in data),
    ("online_endpoint", lambda data: bool({"auth_mode", "traffic", "mirror_traffic"} & set(data))),
    ("data_import", lambda data: "source" in data and _type(data) in _DATA_TYPES),
    ("data", lambda data: _type(data) in _DATA_TYPES and "path" in data),
    ("model", lambda data: _type(data) in _MODEL_TYPES and "path" in data),
    ("compute", lambda data: _type(data) in _COMPUTE_TYPES),
    ("datastore", lambda data: _type(data).startswith("azure_") or _type(data) in ("uri", "one_lake")),
    ("connection", lambda data: "target" in data and "credentials" in data),
    ("environment", lambda data: bool({"image", "conda_file", "build"} & set(data))),
    ("batch_invocation", lambda data: {"inputs"} <= set(data) <= {"inputs", "outputs", "deployment_name", "tags"}),
    ("setup", lambda data: "workspaces" in data),
    ("labeling", lambda data: "labels" in data and "task" in data),
    ("contract", lambda data: "columns" in data),
    ("workspace", lambda data: bool({"managed_network", "hbi_workspace", "storage_account", "location"} & set(data))),
)
