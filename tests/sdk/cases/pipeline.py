from doubleloop.sdk import Input, Output, command, dsl, load_component

prepare = command(
    command="cp -r ${{inputs.raw}} ${{outputs.clean}}",
    environment="azureml:env:1",
    code="./src",
    inputs={"raw": Input(type="uri_folder")},
    outputs={"clean": Output(type="uri_folder", mode="rw_mount")},
)
train = load_component("train.yml")


@dsl.pipeline(display_name="Two steps", description="Prepare, then train", default_compute="cpu-cluster")
def two_steps(raw: Input(type="uri_folder"), rate: float = 0.3):
    first = prepare(raw=raw)
    second = train(data=first.outputs.clean, rate=rate)
    second.compute = "big-cluster"
    third = train(data=first.outputs.clean, rate=0.7, label="slow")
    third.outputs.model = Output(type="mlflow_model", mode="upload")
    return {"model": second.outputs.model, "other": third.outputs.model}


entity = two_steps(raw=Input(type="uri_folder", path="azureml:rides:1"), rate=0.4)
entity.settings.continue_on_step_failure = False
entity.outputs.model.mode = "upload"
entity.experiment_name = "rides"
