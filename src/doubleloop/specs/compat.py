"""One table: for every field of every kind, whether it is honoured, accepted without effect, or refused, and why.

``python -m doubleloop.specs.compat`` writes docs/reference-fields.md from it.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from doubleloop.base import errors
from doubleloop.specs import detection, fields, refusals
from doubleloop.specs.kinds import (
    assets,
    batch,
    contracts,
    environment,
    jobs,
    monitors,
    online,
    places,
    releases,
    rules,
    schedules,
    setups,
    values,
)
from doubleloop.specs.model import Notice
from doubleloop.specs.sources import Source


@dataclass(frozen=True)
class Entry:
    """``why`` completes the sentence "'field' ..."; ``instead`` says what to write when it is refused."""

    status: Literal["honoured", "accepted", "refused"]
    why: str = ""
    instead: str = ""


def _rows(
    honoured: str = "", accepted: dict[str, str] | None = None, refused: dict[str, tuple[str, str]] | None = None
) -> dict[str, Entry]:
    """Entries from field names in one text; ``accepted`` maps names to a reason, ``refused`` to (reason, instead)."""
    rows = {name: Entry("honoured") for name in honoured.split()}
    for names, why in (accepted or {}).items():
        rows |= {name: Entry("accepted", why) for name in names.split()}
    for names, (why, instead) in (refused or {}).items():
        rows |= {name: Entry("refused", why, instead) for name in names.split()}
    return rows


_AZURE = "means something on Azure only; it has no effect here"
_HOST = "has no effect here: everything runs on this machine"
_SIZE = "has no effect here: there is one size of machine, this one"
_NETWORK = "has no effect here: networks are set up outside"
_IDENTITY = "has no effect here: jobs and endpoints act under identities of this installation"
_STORE = "has no effect here: uploads go to the installation's own storage"
_KEPT = "is kept and shown, and has no further effect"
_DELETE = "has no effect here: assets are never deleted by themselves"
_ONE_PROCESS = "has no effect here: the command is started once, as one process"
_SERVICES = "has no effect here: no interactive services are started beside a job"
_QUEUE = "has no effect here: jobs start in the order they come"
_PIPELINE_OWNS = "has no effect in a step: the pipeline's own is used"

TABLE: dict[type[fields.Spec], dict[str, Entry]] = {
    assets.Data: _rows(
        "$schema name version type path description tags properties",
        {"datastore": _STORE, "auto_delete_setting": _DELETE},
    ),
    assets.Model: _rows(
        "$schema name version type path description tags properties",
        {
            "flavors": "has no effect: the flavours are read from the model's MLmodel file",
            "stage": _KEPT,
            "datastore": _STORE,
            "system_metadata default_deployment_template allowed_deployment_templates": _AZURE,
        },
    ),
    environment.BuildContext: _rows("path dockerfile_path"),
    environment.Environment: _rows(
        "$schema name version description tags conda_file build",
        {
            "image": "is recorded; what gets installed comes from the conda file, not from the image",
            "inference_config": "has no effect here: the serving process brings its own routes",
            "os_type": _HOST,
            "datastore": _STORE,
            "auto_delete_setting": _DELETE,
            "properties": _KEPT,
        },
    ),
    fields.TextFile: _rows("$file text"),
    values.Input: _rows(
        "type path mode value default description optional", {"datastore": _STORE, "path_on_compute": _AZURE}
    ),
    values.Output: _rows("type mode path name version description"),
    values.ComponentInput: _rows("type description default optional min max enum mode"),
    values.ComponentOutput: _rows("type description mode"),
    jobs.Limits: _rows("timeout"),
    jobs.Resources: _rows(
        "",
        {
            "instance_count max_instance_count": _HOST,
            "instance_type": _SIZE,
            "locations": _AZURE,
            "properties": _AZURE,
            "shm_size docker_args": "has no effect here: commands run without a container",
        },
    ),
    jobs.Settings: _rows(
        "default_compute default_datastore continue_on_step_failure force_rerun",
        refused={
            "on_init": ("is not served yet", "make it the first step and let the others use one of its outputs"),
            "on_finalize": ("is not served yet", "make it the last step and let it use outputs of the others"),
        },
    ),
    jobs.CommandJob: _rows(
        "$schema type name display_name description tags properties command code environment inputs outputs compute "
        "experiment_name resources environment_variables limits parent_job_name",
        {"distribution": _ONE_PROCESS, "identity": _IDENTITY, "services": _SERVICES, "queue_settings": _QUEUE},
    ),
    jobs.CommandComponent: _rows(
        "$schema type name version display_name description tags properties command code environment inputs outputs "
        "resources environment_variables limits is_deterministic",
        {
            "distribution": _ONE_PROCESS,
            "identity": _IDENTITY,
            "services": _SERVICES,
            "queue_settings": _QUEUE,
            "auto_delete_setting": _DELETE,
        },
        {"additional_includes": ("is not served yet", "put these files into the code folder")},
    ),
    jobs.CommandNode: _rows(
        "$schema type name display_name description tags properties component command code environment inputs outputs "
        "compute resources environment_variables limits comment",
        {
            "distribution": _ONE_PROCESS,
            "identity": _IDENTITY,
            "services": _SERVICES,
            "queue_settings": _QUEUE,
            "experiment_name parent_job_name": _PIPELINE_OWNS,
        },
    ),
    jobs.PipelineJob: _rows(
        "$schema type name display_name description tags properties jobs inputs outputs settings compute "
        "experiment_name",
        {"identity": _IDENTITY, "services": _SERVICES},
        {"component": ("is not served yet", "write the component's jobs, inputs and outputs into this file")},
    ),
    jobs.PipelineComponent: _rows(
        "$schema type name version display_name description tags properties jobs inputs outputs settings "
        "is_deterministic",
        {"auto_delete_setting": _DELETE},
    ),
    online.OnlineEndpoint: _rows(
        "$schema name description auth_mode traffic mirror_traffic tags properties",
        {
            "identity": _IDENTITY,
            "location": _AZURE,
            "public_network_access": _NETWORK,
            "compute": "has no effect here: every endpoint is a managed one",
        },
    ),
    online.CodeConfiguration: _rows("code scoring_script"),
    online.RequestSettings: _rows("request_timeout_ms max_concurrent_requests_per_instance max_queue_wait_ms"),
    online.Probe: _rows("period initial_delay timeout success_threshold failure_threshold"),
    online.ScaleSettings: _rows(
        "type",
        {
            "min_instances max_instances polling_interval target_utilization_percentage": (
                "has no effect here: the number of instances is 'instance_count'"
            )
        },
    ),
    online.CollectionData: _rows("", {"name version path": "has no effect here: the log has a place of its own"}),
    online.Collection: _rows(
        "enabled", {"data": "has no effect here: the log has a place of its own", "client_id": _IDENTITY}
    ),
    online.RequestLogging: _rows("", {"capture_headers": "has no effect here: headers are not logged"}),
    online.DataCollector: _rows(
        "collections sampling_rate request_logging",
        {"rolling_rate": "has no effect here: log files are closed by size and time"},
    ),
    online.OnlineDeployment: _rows(
        "$schema name endpoint_name type description model code_configuration environment environment_variables "
        "instance_count scale_settings request_settings liveness_probe readiness_probe data_collector tags properties",
        {
            "instance_type": _SIZE,
            "model_mount_path": "has no effect here: the model is found through AZUREML_MODEL_DIR",
            "app_insights_enabled": "has no effect here: requests are always logged and measured",
            "egress_public_network_access private_network_connection": _NETWORK,
        },
    ),
    batch.BatchDefaults: _rows("deployment_name"),
    batch.BatchEndpoint: _rows(
        "$schema name description auth_mode defaults tags properties", {"identity": _IDENTITY, "location": _AZURE}
    ),
    batch.Retry: _rows("max_retries timeout"),
    batch.BatchSettings: _rows(
        "mini_batch_size max_concurrency_per_instance output_action output_file_name retry_settings error_threshold "
        "logging_level environment_variables default_compute default_datastore continue_on_step_failure force_rerun",
        {"instance_count": _HOST},
    ),
    batch.BatchDeployment: _rows(
        "$schema name endpoint_name type description model component job_definition code_configuration environment "
        "environment_variables compute resources settings mini_batch_size max_concurrency_per_instance output_action "
        "output_file_name retry_settings error_threshold logging_level tags properties"
    ),
    places.Compute: _rows(
        "$schema name type description tags properties max_instances",
        {
            "min_instances idle_time_before_scale_down": "has no effect here: there are no nodes to start or stop",
            "size tier": _SIZE,
            "location resource_id namespace create_on_behalf_of": _AZURE,
            "identity": _IDENTITY,
            "ssh_settings ssh_public_access_enabled network_settings enable_node_public_ip": _NETWORK,
            "enable_root_access enable_os_patching enable_sso release_quota_on_stop schedules setup_scripts": _AZURE,
            "custom_applications idle_time_before_shutdown idle_time_before_shutdown_minutes": _AZURE,
            "auto_pause_settings scale_settings": _AZURE,
        },
    ),
    places.Datastore: _rows(
        "$schema name type description tags path uri",
        {
            "account_name container_name file_share_name filesystem store_name protocol endpoint": (
                "is not opened: the datastore stands for a folder of this installation"
            ),
            "one_lake_workspace_name artifact": _AZURE,
            "credentials": "is not kept: the datastore stands for a folder of this installation",
        },
    ),
    places.Workspace: _rows(
        "$schema name kind display_name description tags",
        {
            "location resource_group hbi_workspace storage_account container_registry key_vault application_insights "
            "customer_managed_key image_build_compute system_datastores_auth_mode enable_data_isolation "
            "allow_roleassignment_on_rg workspace_hub hub_id": _AZURE,
            "public_network_access network_acls managed_network serverless_compute provision_network_now": _NETWORK,
            "identity primary_user_assigned_identity": _IDENTITY,
        },
    ),
    schedules.CronTrigger: _rows("type expression start_time end_time time_zone"),
    schedules.Pattern: _rows("hours minutes week_days month_days"),
    schedules.RecurrenceTrigger: _rows("type frequency interval schedule start_time end_time time_zone"),
    schedules.CreateJob: _rows(
        "job type display_name description experiment_name tags properties inputs outputs compute settings "
        "environment environment_variables limits resources parent_job_name",
        {
            "name": "has no effect: every run gets a new name",
            "distribution": _ONE_PROCESS,
            "identity": _IDENTITY,
            "services": _SERVICES,
            "queue_settings": _QUEUE,
        },
    ),
    schedules.Schedule: _rows(
        "$schema name display_name description tags properties trigger create_job create_monitor",
        refused={
            "import_data": (
                "is not served",
                "schedule a command job that fetches the data and writes it to an output",
            )
        },
    ),
    monitors.MonitorCompute: _rows("", {"instance_type runtime_version compute_type": _SIZE}),
    monitors.Target: _rows("ml_task endpoint_deployment_id model_id"),
    monitors.MonitorInput: _rows("path type mode", {"datastore": _STORE, "path_on_compute": _AZURE}),
    monitors.Window: _rows("lookback_window_size lookback_window_offset window_start window_end"),
    monitors.Columns: _rows("target_column prediction prediction_probability correlation_id"),
    monitors.SignalData: _rows(
        "input_data data_context data_column_names data_window data_window_size target_column_name",
        {"pre_processing_component": "has no effect here: tables are read as they are"},
    ),
    monitors.Segment: _rows("feature_name feature_values"),
    monitors.TopFeatures: _rows("top_n_feature_importance"),
    monitors.NumericalDrift: _rows(
        "jensen_shannon_distance normalized_wasserstein_distance population_stability_index "
        "two_sample_kolmogorov_smirnov_test"
    ),
    monitors.CategoricalDrift: _rows("jensen_shannon_distance population_stability_index pearsons_chi_squared_test"),
    monitors.DriftThresholds: _rows("numerical categorical", {"threshold": "has no meaning in Azure ML either"}),
    monitors.QualityLimits: _rows("null_value_rate data_type_error_rate out_of_bounds_rate"),
    monitors.QualityThresholds: _rows("numerical categorical", {"threshold": "has no meaning in Azure ML either"}),
    monitors.ClassificationLimits: _rows("accuracy precision recall"),
    monitors.RegressionLimits: _rows("mae mse rmse"),
    monitors.PerformanceThresholds: _rows(
        "classification regression", {"threshold": "has no meaning in Azure ML either"}
    ),
    monitors.DataDrift: _rows(
        "type alert_enabled production_data reference_data features feature_type_override data_segment "
        "metric_thresholds",
        {"properties": _AZURE},
    ),
    monitors.PredictionDrift: _rows(
        "type alert_enabled production_data reference_data features feature_type_override metric_thresholds",
        {"properties": _AZURE},
    ),
    monitors.DataQuality: _rows(
        "type alert_enabled production_data reference_data features feature_type_override metric_thresholds",
        {"properties": _AZURE},
    ),
    monitors.ModelPerformance: _rows(
        "type alert_enabled production_data reference_data data_segment metric_thresholds", {"properties": _AZURE}
    ),
    monitors.UnservedSignal: _rows(
        "alert_enabled production_data reference_data metric_thresholds properties component_id connection inputs "
        "input_data connection_id workspace_connection_id sampling_rate",
        {"type": "names a signal that is read and kept, and not computed yet"},
    ),
    monitors.Emails: _rows("emails"),
    monitors.Monitor: _rows("monitoring_target monitoring_signals alert_notification", {"compute": _SIZE}),
    contracts.Rows: _rows("at_least at_most"),
    contracts.Column: _rows(
        "type description required nullable null_share unique at_least at_most outside_share in matches"
    ),
    contracts.Freshness: _rows("column within"),
    contracts.Contract: _rows("$schema name description columns rows freshness unique extra_columns"),
    setups.Substitution: _rows("match action with reason"),
    setups.SetupWorkspace: _rows("name kind display_name description tags package_substitutions"),
    setups.Registry: _rows("name description"),
    setups.SetupCompute: _rows("workspaces"),
    setups.SetupDatastore: _rows("workspaces"),
    setups.User: _rows("name display_name email kind"),
    setups.Group: _rows("name persona members workspaces just_in_time needs_approval description"),
    setups.Assignment: _rows(
        "user group service role workspace resource resource_kind until eligible needs_approval reason"
    ),
    setups.SetupRule: _rows("workspaces"),
    setups.Notification: _rows("name url emails events workspaces"),
    setups.Budget: _rows(
        "name", {"workspace amount currency period alert_at notify": "is read and kept; costs are not counted yet"}
    ),
    setups.Setup: _rows(
        "$schema name description registry registries workspaces computes datastores users groups assignments "
        "notifications budgets rules"
    ),
    releases.Retrain: _rows("job inputs experiment_name"),
    releases.DataQualityCheck: _rows("type name data contract"),
    releases.UnitTestsCheck: _rows("type name command code directory environment environment_variables timeout"),
    releases.Champion: _rows("tolerance"),
    releases.ModelQualityCheck: _rows("type name data target metric at_most at_least champion features"),
    releases.ResponsibleAiCheck: _rows("type name data sensitive metric target at_most at_least min_group_size"),
    releases.EndpointPerformanceCheck: _rows("type name rate duration p50_ms p95_ms p99_ms error_rate data"),
    releases.ScanCheck: _rows("type name model packages severity allow"),
    releases.Approval: _rows("personas count not_author expires"),
    releases.Abort: _rows("error_rate p99_ms"),
    releases.Rollout: _rows("steps bake abort"),
    releases.Stage: _rows("workspace name retrain endpoint deployment checks approval rollout monitor"),
    releases.Release: _rows("$schema name description tags model trigger scenario stages"),
    rules.Condition: _rows("in not_in at_least at_most matches exists"),
    rules.RetrainData: _rows("asset input target window"),
    rules.RetrainAction: _rows("release data inputs"),
    rules.NotifyAction: _rows("to title message"),
    rules.RollBackAction: _rows("endpoint deployment"),
    rules.RunJobAction: _rows("job workspace inputs"),
    rules.WebhookAction: _rows("url headers secret timeout"),
    rules.OpenLabelingAction: _rows("project window sample share assign_to"),
    rules.Action: _rows("retrain notify roll_back run_job webhook open_labeling"),
    rules.RuleLimit: _rows("count per"),
    rules.Rule: _rows("$schema name description on where do cool_down limit enabled"),
}

# Kinds that are read in full and that no part of the system serves yet: one notice per document.
NOT_SERVED = {
    "batch_endpoint": "is read and checked; batch endpoints are not served yet",
    "batch_deployment": "is read and checked; batch deployments are not served yet",
}


def entries(model: type[fields.Spec]) -> dict[str, Entry]:
    """The rows of a class, with those of the classes it builds on."""
    rows: dict[str, Entry] = {}
    for base in reversed(model.__mro__):
        rows |= TABLE.get(base, {})
    return rows


def notices(kind: str, model: fields.Spec, source: Source) -> tuple[Notice, ...]:
    """One notice per accepted field that is used. Raises NotSupported for a refused one, with what to write instead."""
    found: dict[tuple[str, str], Notice] = {}
    idle: list[tuple[str, ...]] = []  # accepted fields: what is inside them needs no notice of its own
    if kind in NOT_SERVED:
        found[kind, ""] = Notice(source.where(), kind, NOT_SERVED[kind])
    for visit in fields.walk(model):
        entry = entries(type(visit.owner))[visit.name]
        where = source.where(visit.pointer)
        if entry.status == "refused":
            raise errors.NotSupported(f"'{visit.name}' {entry.why}", where=where, cure=entry.instead)
        if any(visit.pointer[: len(above)] == above for above in idle):
            continue
        if entry.status == "accepted":
            idle.append(visit.pointer)
            found.setdefault((visit.owner.title, visit.name), Notice(where, visit.name, entry.why))
    for pointer, inner in fields.models(model):
        for name in inner.model_extra or {}:
            where = source.where((*pointer, name))
            found.setdefault((inner.title, name), Notice(where, name, _ignored(name, inner)))
    return tuple(sorted(found.values(), key=lambda notice: (notice.where.file, notice.where.line)))


def _ignored(name: str, model: fields.Spec) -> str:
    near = difflib.get_close_matches(name, model.field_names(), n=1, cutoff=0.7)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"is not a field that is known here, and is ignored as Azure ML does{hint}"


def reachable(model: type[fields.Spec]) -> Iterator[type[fields.Spec]]:
    """``model`` and every class of fields inside it, each once, in order of first use."""
    seen: dict[type[fields.Spec], None] = {}
    _collect(model, seen)
    yield from seen


def _collect(annotation: object, seen: dict[type[fields.Spec], None]) -> None:
    if isinstance(annotation, type) and issubclass(annotation, fields.Spec):
        if annotation not in seen:
            seen[annotation] = None
            for field in annotation.model_fields.values():
                _collect(field.annotation, seen)
        return
    for inner in getattr(annotation, "__args__", ()):
        _collect(inner, seen)


_HEAD = """# Fields of every kind of file

*Honoured* fields do what they say. *Accepted* ones may stand in a file and have no effect here; they are reported
once when the file is used. *Refused* ones stop with an error that says what to write instead. Every other field is
unknown, and unknown fields are errors with file, line and the nearest known name, except where Azure ML lets them
pass too: at the top of a component, in a step that uses `component:`, in `settings:`, and in the `resources:` of a
component. There they are reported and ignored.

This page is generated from `doubleloop/specs/compat.py` by `python -m doubleloop.specs.compat`.
"""


def page() -> str:
    """The reference page, as Markdown."""
    lines = [_HEAD]
    done: set[str] = set()
    for kind, model in detection.MODELS.items():
        lines.append(f"\n## {kind.replace('_', ' ')}\n")
        if kind in NOT_SERVED:
            lines.append(f"A {kind.replace('_', ' ')} {NOT_SERVED[kind]}.\n")
        for inner in reachable(model):
            if inner is not model and inner.title in done:
                continue
            done.add(inner.title)
            if inner is not model:
                lines.append(f"\n### {inner.title}\n")
            lines += _table(inner)
    lines.append("\n## Kinds that are recognised and refused\n\n| what | use instead |\n|---|---|")
    lines += [f"| {what} | {instead} |" for what, instead in refusals.DOCUMENTS.values()]
    lines += [f"| pipeline steps of type `{name}` | {instead} |" for name, instead in refusals.STEPS.items()]
    return "\n".join(lines) + "\n"


def _table(model: type[fields.Spec]) -> list[str]:
    rows = entries(model)
    lines = ["| field | status | meaning |", "|---|---|---|"]
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        entry = rows[name]
        remark = f" It {entry.why}." if entry.why else ""
        remark += f" Instead: {entry.instead}." if entry.instead else ""
        needed = " (required)" if field.is_required() else ""
        text = f"{field.description or ''}{remark}".replace("|", "\\|")
        lines.append(f"| `{name}`{needed} | {entry.status} | {text} |")
    return [*lines, ""]


def main(target: Path = Path("docs/reference-fields.md")) -> None:
    target.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {target}\n")


if __name__ == "__main__":
    main()
