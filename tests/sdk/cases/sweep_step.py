from doubleloop.sdk import Input, dsl, load_component
from doubleloop.sdk.sweep import Choice, Uniform

train = load_component("train.yml")


@dsl.pipeline(default_compute="cpu-cluster")
def search(data: Input(type="uri_folder")):
    fit = train(data=data, rate=Uniform(0.1, 0.9), label=Choice(["a", "b"]))
    best = fit.sweep(primary_metric="rmse", goal="minimize", sampling_algorithm="grid")
    best.set_limits(max_total_trials=4, max_concurrent_trials=2)
    final = train(data=best.outputs.model, rate=0.5)
    return {"model": final.outputs.model}


entity = search(data=Input(type="uri_folder", path="azureml:rides:2"))
