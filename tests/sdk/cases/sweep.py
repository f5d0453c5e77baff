from doubleloop.sdk import Input, Output, command
from doubleloop.sdk.sweep import BanditPolicy, Choice, LogUniform, Uniform

trial = command(
    command="python train.py --data ${{inputs.data}} --rate ${{inputs.rate}} --depth ${{inputs.depth}}"
    " --c ${{inputs.c}}",
    code="./src",
    environment="azureml:env:1",
    inputs={"data": Input(type="uri_file", path="data.csv"), "rate": 0.1, "depth": 3, "c": 1.0},
    outputs={"model": Output(type="mlflow_model")},
    compute="cpu-cluster",
)
searched = trial(rate=Uniform(min_value=0.01, max_value=0.9), depth=Choice(values=[2, 3, 5]), c=LogUniform(-3, 3))
entity = searched.sweep(sampling_algorithm="random", primary_metric="rmse", goal="minimize", compute="cpu-cluster")
entity.set_limits(max_total_trials=20, max_concurrent_trials=2, timeout=7200)
entity.early_termination = BanditPolicy(slack_factor=0.1, evaluation_interval=2, delay_evaluation=5)
entity.display_name = "Search"
entity.experiment_name = "rides"
