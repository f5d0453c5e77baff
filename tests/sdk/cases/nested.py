from doubleloop.sdk import Input, dsl, load_component

train = load_component("train.yml")


@dsl.pipeline
def inner(data: Input(type="uri_folder"), rate=0.3):
    fit = train(data=data, rate=rate)
    return {"model": fit.outputs.model}


@dsl.pipeline(default_compute="cpu-cluster")
def outer(data):
    slow = inner(data=data, rate=0.1)
    fast = inner(data=data)
    return {"slow_model": slow.outputs.model, "fast_model": fast.outputs.model}


entity = outer(data=Input(type="uri_folder", path="azureml:rides@latest"))
