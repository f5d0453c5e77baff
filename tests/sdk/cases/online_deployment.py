from doubleloop.sdk.entities import (
    CodeConfiguration,
    DataCollector,
    DeploymentCollection,
    Environment,
    ManagedOnlineDeployment,
    Model,
    OnlineRequestSettings,
    ProbeSettings,
)

entity = ManagedOnlineDeployment(
    name="blue",
    endpoint_name="bikes",
    model=Model(path="./src", type="custom_model"),
    environment=Environment(image="mcr.microsoft.com/azureml/base", conda_file="conda.yaml"),
    code_configuration=CodeConfiguration(code="./src", scoring_script="train.py"),
    instance_type="Standard_DS3_v2",
    instance_count=2,
    request_settings=OnlineRequestSettings(request_timeout_ms=5000, max_concurrent_requests_per_instance=2),
    liveness_probe=ProbeSettings(initial_delay=30, period=10),
    data_collector=DataCollector(collections={"model_inputs": DeploymentCollection(enabled="true")}, sampling_rate=0.5),
    environment_variables={"MODE": "fast"},
    tags={"team": "rides"},
)
