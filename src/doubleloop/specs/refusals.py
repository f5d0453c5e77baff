"""What is recognised and not served: kinds of files and of pipeline steps, each with what to use instead."""

from __future__ import annotations

STEPS = {
    "data_transfer": "copy the data with a command step",
    "distillation": "train with code of your own in a command step",
    "finetuning": "train with code of your own in a command step",
    "import": "fetch the data with a command step",
    "promptflow_parallel": "use a command step",
}

DOCUMENTS = {
    "sweep_component": ("sweep components", "use a command component and search inside it"),
    "import_job": ("import jobs", "fetch the data with a command job and create a data asset from its output"),
    "finetuning_job": ("fine-tuning jobs", "train with code of your own in a command job"),
    "distillation_job": ("distillation jobs", "train with code of your own in a command job"),
    "data_import": ("data imports", "fetch the data with a command job and create a data asset from its output"),
    "connection": ("connections", "give credentials as secrets of the workspace"),
    "model_package": ("model packages", "deploy the model with an environment; it is built and cached once"),
    "feature_set": ("feature sets", "keep features as a data asset written by a pipeline"),
    "feature_store": ("feature stores", "keep features as data assets written by pipelines"),
    "kubernetes_online_endpoint": ("Kubernetes endpoints", "use the managedOnlineEndpoint schema"),
    "kubernetes_online_deployment": (
        "Kubernetes deployments",
        "use the managedOnlineDeployment schema and leave out 'type', 'resources' and 'compute'",
    ),
    "feature_store_entity": ("feature store entities", "keep the keys as columns of a data asset"),
    "serverless_endpoint": ("serverless endpoints", "deploy the model itself: a managedOnlineDeployment of it"),
    "marketplace_subscription": ("marketplace subscriptions", "register the model itself; nothing here is bought"),
    "deployment_template": ("deployment templates", "keep the deployment's file in your repository and use --set"),
    "index": ("indexes", "build the index in a pipeline job and keep it as a data asset"),
    "capability_host": ("capability hosts", "leave it out: nothing here needs one"),
    "evaluator": ("evaluators", "evaluate in a command job, or as a check of a release"),
    "automl_component": ("AutoML components", "use an AutoML job, or a command component"),
    "import_component": ("import components", "fetch the data with a command component"),
    "data_transfer_component": ("data transfer components", "copy the data with a command component"),
    "data_transfer_job": ("data transfer jobs", "copy the data with a command job"),
    "flow": ("prompt flows", "serve the flow with a score.py of your own"),
}
