"""Workspaces, computes and datastores, as Azure ML files describe them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from doubleloop.specs import support
from doubleloop.specs.fields import Accepted, Currency, Fold, Int, LooseText, Name, Number, Spec, Tags, Text

ComputeType = Annotated[
    Literal["local", "amlcompute", "computeinstance", "virtualmachine", "kubernetes", "synapsespark"], Fold
]
DatastoreType = Annotated[
    Literal["local", "uri", "azure_blob", "azure_file", "azure_data_lake_gen1", "azure_data_lake_gen2", "one_lake"],
    Fold,
]


class Compute(Spec):
    title: ClassVar[str] = "compute"

    schema_: Text | None = Field(None, alias="$schema", description="Names the kind of this file.")
    name: Name = Field(description="Name that jobs use: azureml:name.")
    type: ComputeType = Field(description="local, or one of Azure's types (then it stands for this machine).")
    description: LooseText | None = Field(None, description="What it is for.")
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    properties: Tags = Field(default_factory=dict, description="Free values kept with it.")
    min_instances: Annotated[Int, Field(ge=0)] | None = Field(None, description="Nodes kept ready.")
    max_instances: Annotated[Int, Field(ge=1)] | None = Field(None, description="Steps that may run at the same time.")
    price_per_hour: Annotated[Number, Field(ge=0)] | None = Field(
        None, description="What a step, or an instance of a deployment, costs for an hour; budgets count it."
    )
    currency: Currency | None = Field(None, description="Currency of the price (default: EUR).")
    idle_time_before_scale_down: Int | None = Field(None, description="Seconds before Azure removes an idle node.")
    size: Text | None = Field(None, description="Azure machine size.")
    tier: Text | None = Field(None, description="dedicated or low_priority.")
    location: Text | None = Field(None, description="Azure region.")
    identity: Accepted | None = Field(None, description="Azure identity of the nodes.")
    resource_id: Text | None = Field(None, description="Azure resource that is attached.")
    namespace: Text | None = Field(None, description="Kubernetes namespace.")
    ssh_settings: Accepted | None = Field(None, description="Logging in to the nodes.")
    ssh_public_access_enabled: Accepted | None = Field(None, description="Whether Azure opens ssh.")
    network_settings: Accepted | None = Field(None, description="Virtual network of Azure.")
    enable_node_public_ip: Accepted | None = Field(None, description="Public addresses of the nodes.")
    enable_root_access: Accepted | None = Field(None, description="Root on a compute instance.")
    enable_os_patching: Accepted | None = Field(None, description="Patching of a compute instance.")
    enable_sso: Accepted | None = Field(None, description="Single sign-on of a compute instance.")
    release_quota_on_stop: Accepted | None = Field(None, description="Quota of a stopped compute instance.")
    schedules: Accepted | None = Field(None, description="Start and stop times of a compute instance.")
    setup_scripts: Accepted | None = Field(None, description="Scripts of a compute instance.")
    custom_applications: Accepted | None = Field(None, description="Containers on a compute instance.")
    create_on_behalf_of: Accepted | None = Field(None, description="Owner of a compute instance.")
    idle_time_before_shutdown: Accepted | None = Field(None, description="Idle time of a compute instance.")
    idle_time_before_shutdown_minutes: Accepted | None = Field(None, description="Idle time of a compute instance.")
    auto_pause_settings: Accepted | None = Field(None, description="Pausing of a Spark pool.")
    scale_settings: Accepted | None = Field(None, description="Scaling of a Spark pool.")


class Datastore(Spec):
    """A named place for bytes. Azure's types stand for a folder of the installation unless one is mapped to them."""

    title: ClassVar[str] = "datastore"

    schema_: Text | None = Field(None, alias="$schema", description="Names the kind of this file.")
    name: Name = Field(description="Name in azureml://datastores/NAME/paths/...")
    type: DatastoreType = Field(description="local (a folder), uri (fsspec), or one of Azure's types.")
    description: LooseText | None = Field(None, description="What it holds.")
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    path: Text | None = Field(None, description="Folder of a local datastore, on the server.")
    uri: Text | None = Field(None, description="Root of a uri datastore: s3://..., gs://..., abfss://...")
    account_name: Text | None = Field(None, description="Azure storage account.")
    container_name: Text | None = Field(None, description="Container of an azure_blob.")
    file_share_name: Text | None = Field(None, description="Share of an azure_file.")
    filesystem: Text | None = Field(None, description="File system of an azure_data_lake_gen2.")
    store_name: Text | None = Field(None, description="Account of an azure_data_lake_gen1.")
    protocol: Text | None = Field(None, description="https, wasbs, abfss.")
    endpoint: Accepted | None = Field(None, description="Host suffix of the storage account.")
    credentials: Accepted | None = Field(
        None, exclude=True, description="account_key, sas_token, or a service principal."
    )
    one_lake_workspace_name: Accepted | None = Field(None, description="Workspace of a one_lake.")
    artifact: Accepted | None = Field(None, description="Lakehouse of a one_lake.")


class Workspace(Spec):
    title: ClassVar[str] = "workspace"

    schema_: Text | None = Field(None, alias="$schema", description="Names the kind of this file.")
    name: Name = Field(description="Name of the workspace.")
    kind: Annotated[Literal["preproduction", "production"], Fold] | None = Field(
        None, description="preproduction or production; decides who may do what in it."
    )
    display_name: LooseText | None = Field(None, description="What people see.")
    description: LooseText | None = Field(None, description="What it is for.")
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    location: Accepted | None = Field(None, description="Azure region.")
    resource_group: Accepted | None = Field(None, description="Azure resource group.")
    hbi_workspace: Accepted | None = Field(None, description="Azure's high-business-impact flag.")
    storage_account: Accepted | None = Field(None, description="Azure storage account of the workspace.")
    container_registry: Accepted | None = Field(None, description="Azure container registry of the workspace.")
    key_vault: Accepted | None = Field(None, description="Azure key vault of the workspace.")
    application_insights: Accepted | None = Field(None, description="Azure telemetry of the workspace.")
    customer_managed_key: Accepted | None = Field(None, description="Azure encryption key.")
    image_build_compute: Accepted | None = Field(None, description="Azure cluster that builds images.")
    public_network_access: Accepted | None = Field(None, description="Whether Azure opens it to the internet.")
    network_acls: Accepted | None = Field(None, description="Azure network rules.")
    managed_network: Accepted | None = Field(None, description="Azure managed network.")
    identity: Accepted | None = Field(None, description="Azure identity of the workspace.")
    primary_user_assigned_identity: Accepted | None = Field(None, description="Azure identity of the workspace.")
    serverless_compute: Accepted | None = Field(None, description="Network of Azure's serverless compute.")
    system_datastores_auth_mode: Accepted | None = Field(None, description="How Azure opens its own datastores.")
    enable_data_isolation: Accepted | None = Field(None, description="Azure hub setting.")
    allow_roleassignment_on_rg: Accepted | None = Field(None, description="Azure role assignment setting.")
    provision_network_now: Accepted | None = Field(None, description="Azure network setting.")
    workspace_hub: Accepted | None = Field(None, description="Azure hub of a project workspace.")
    hub_id: Accepted | None = Field(None, description="Azure hub of a project workspace.")


class Registry(Spec):
    """A place that workspaces share assets through."""

    title: ClassVar[str] = "registry"

    schema_: Text | None = Field(None, alias="$schema", description="Names the kind of this file.")
    name: Name = Field(description="Name in azureml://registries/NAME/...")
    description: LooseText | None = Field(None, description="What it shares.")
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    properties: Tags = Field(default_factory=dict, description="Free values kept with it.")
    location: Accepted | None = Field(None, description="Azure region.")
    replication_locations: Accepted | None = Field(None, description="Azure regions with their stores.")
    container_registry: Accepted | None = Field(None, description="Azure container registry.")
    managed_resource_group: Accepted | None = Field(None, description="Azure resource group.")
    managed_resource_group_tags: Accepted | None = Field(None, description="Labels of that resource group.")
    intellectual_property: Accepted | None = Field(None, description="Publisher of protected assets.")
    public_network_access: Accepted | None = Field(None, description="Whether Azure opens it to the internet.")
    identity: Accepted | None = Field(None, description="Azure identity of the registry.")


SUPPORT: dict[type[Spec], support.Rows] = {
    Compute: support.rows(
        "$schema name type description tags properties max_instances price_per_hour currency",
        {
            "min_instances idle_time_before_scale_down": "has no effect here: there are no nodes to start or stop",
            "size tier": support.SIZE,
            "location resource_id namespace create_on_behalf_of": support.AZURE,
            "identity": support.IDENTITY,
            "ssh_settings ssh_public_access_enabled network_settings enable_node_public_ip": support.NETWORK,
            "enable_root_access enable_os_patching enable_sso release_quota_on_stop schedules": support.AZURE,
            "setup_scripts": support.AZURE,
            "custom_applications idle_time_before_shutdown idle_time_before_shutdown_minutes": support.AZURE,
            "auto_pause_settings scale_settings": support.AZURE,
        },
    ),
    Datastore: support.rows(
        "$schema name type description tags path uri",
        {
            "account_name container_name file_share_name filesystem store_name protocol endpoint": (
                "is not opened: the datastore stands for a folder of this installation"
            ),
            "one_lake_workspace_name artifact": support.AZURE,
            "credentials": "is not kept: the datastore stands for a folder of this installation",
        },
    ),
    Registry: support.rows(
        "$schema name description",
        {
            "tags properties": "has no effect here: a registry has a name and a description",
            "location replication_locations container_registry managed_resource_group": support.AZURE,
            "managed_resource_group_tags intellectual_property": support.AZURE,
            "public_network_access": support.NETWORK,
            "identity": support.IDENTITY,
        },
    ),
    Workspace: support.rows(
        "$schema name kind display_name description tags",
        {
            "location resource_group hbi_workspace storage_account container_registry key_vault application_insights "
            "customer_managed_key image_build_compute system_datastores_auth_mode enable_data_isolation "
            "allow_roleassignment_on_rg workspace_hub hub_id": support.AZURE,
            "public_network_access network_acls managed_network serverless_compute": support.NETWORK,
            "provision_network_now": support.NETWORK,
            "identity primary_user_assigned_identity": support.IDENTITY,
        },
    ),
}
