from doubleloop.sdk import Input, Output, automl, dsl, load_component

train = load_component("train.yml")


@dsl.pipeline(default_compute="cpu-cluster")
def learn(rows: Input(type="mltable")):
    fit = automl.regression(
        training_data=rows,
        target_column_name="fare",
        primary_metric="r2_score",
        n_cross_validations=3,
        outputs={"best_model": Output(type="mlflow_model")},
    )
    fit.set_limits(max_trials=2)
    used = train(data=fit.outputs.best_model, rate=0.5)
    return {"model": used.outputs.model}


entity = learn(rows=Input(type="mltable", path="azureml:trips:2"))
