"""What is described and kept: assets, endpoints, deployments, schedules, jobs."""

from doubleloop.sdk.entities.assets import BuildContext, Data, Environment, Model
from doubleloop.sdk.entities.batch import (
    BatchDeployment,
    BatchEndpoint,
    BatchRetrySettings,
    EndpointDefaults,
    ModelBatchDeployment,
    ModelBatchDeploymentSettings,
    PipelineComponentBatchDeployment,
)
from doubleloop.sdk.entities.files import LoadedFile
from doubleloop.sdk.entities.model import Entity
from doubleloop.sdk.entities.online import (
    AvailabilityObjective,
    CodeConfiguration,
    DataCollector,
    DefaultScaleSettings,
    DeploymentCollection,
    LatencyObjective,
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
    OnlineRequestSettings,
    ProbeSettings,
    RequestLogging,
    ServiceLevelObjectives,
    TargetUtilizationScaleSettings,
)
from doubleloop.sdk.entities.schedules import (
    CronTrigger,
    JobSchedule,
    MonitorSchedule,
    RecurrencePattern,
    RecurrenceTrigger,
    Schedule,
)
from doubleloop.sdk.entities.settings import (
    CommandJobLimits,
    JobResourceConfiguration,
    PipelineJobSettings,
    RetrySettings,
    SweepJobLimits,
)
from doubleloop.sdk.entities.values import Input, Output

__all__ = [
    "AvailabilityObjective", "BatchDeployment", "BatchEndpoint", "BatchRetrySettings", "BuildContext",
    "CodeConfiguration", "CommandJobLimits", "CronTrigger", "Data", "DataCollector", "DefaultScaleSettings",
    "DeploymentCollection", "EndpointDefaults", "Entity", "Environment", "Input", "JobResourceConfiguration",
    "JobSchedule", "LatencyObjective", "LoadedFile", "ManagedOnlineDeployment", "ManagedOnlineEndpoint", "Model",
    "ModelBatchDeployment", "ModelBatchDeploymentSettings", "MonitorSchedule", "OnlineRequestSettings", "Output",
    "PipelineComponentBatchDeployment", "PipelineJobSettings", "ProbeSettings", "RecurrencePattern",
    "RecurrenceTrigger", "RequestLogging", "RetrySettings", "Schedule", "ServiceLevelObjectives", "SweepJobLimits",
    "TargetUtilizationScaleSettings",
]  # fmt: skip
