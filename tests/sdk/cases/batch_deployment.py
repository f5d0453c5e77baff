from doubleloop.sdk.constants import BatchDeploymentOutputAction
from doubleloop.sdk.entities import (
    BatchRetrySettings,
    CodeConfiguration,
    ModelBatchDeployment,
    ModelBatchDeploymentSettings,
)

entity = ModelBatchDeployment(
    name="nightly",
    endpoint_name="scores",
    model="azureml:bikes:4",
    environment="azureml:env:1",
    code_configuration=CodeConfiguration(code="./src", scoring_script="train.py"),
    compute="cpu-cluster",
    settings=ModelBatchDeploymentSettings(
        instance_count=1,
        max_concurrency_per_instance=2,
        mini_batch_size=10,
        output_action=BatchDeploymentOutputAction.APPEND_ROW,
        output_file_name="predictions.csv",
        retry_settings=BatchRetrySettings(max_retries=3, timeout=30),
        logging_level="info",
    ),
)
