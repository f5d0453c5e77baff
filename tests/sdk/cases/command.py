from doubleloop.sdk import Input, Output, PyTorchDistribution, command
from doubleloop.sdk.entities import Environment

entity = command(
    command="python train.py --data ${{inputs.data}} --rate ${{inputs.rate}} --model ${{outputs.model}}",
    code="./src",
    environment=Environment(image="mcr.microsoft.com/azureml/base", conda_file="conda.yaml"),
    inputs={
        "data": Input(type="uri_file", path="data.csv", mode="ro_mount"),
        "rate": 0.5,
        "rounds": 20,
        "quick": True,
        "label": "first",
    },
    outputs={"model": Output(type="mlflow_model", mode="rw_mount")},
    environment_variables={"MODE": "fast"},
    distribution=PyTorchDistribution(process_count_per_instance=2),
    instance_count=1,
    compute="cpu-cluster",
    timeout=600,
    display_name="Train once",
    description="One command",
    experiment_name="rides",
    tags={"team": "rides"},
)
