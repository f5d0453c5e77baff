"""What is recognised and not served: kinds of files and of pipeline steps, each with what to use instead."""

from __future__ import annotations

STEPS = {
    "automl": "train with code of your own in a command step",
    "data_transfer": "copy the data with a command step",
    "distillation": "train with code of your own in a command step",
    "do_while": "loop inside one command step",
    "finetuning": "train with code of your own in a command step",
    "if_else": "decide inside one command step",
    "import": "fetch the data with a command step",
    "parallel": "use a command step that loops over the files",
    "parallel_for": "write one command step per item",
    "pipeline": "write the steps of the inner pipeline into this one, or run it as a job of its own",
    "promptflow_parallel": "use a command step",
    "spark": "use a command step; pyspark can be installed in its environment",
    "sweep": "use a command step per setting, or search inside one step",
}

DOCUMENTS = {
    "automl_job": ("AutoML jobs", "train with code of your own in a command job"),
    "sweep_job": ("sweep jobs", "submit one command job per setting, or search inside one command"),
    "parallel_job": ("parallel jobs", "use a command job that loops over the files"),
    "spark_job": ("Spark jobs", "use a command job; pyspark can be installed in its environment"),
    "spark_component": ("Spark components", "use a command component; pyspark can be installed in its environment"),
    "parallel_component": ("parallel components", "use a command component that loops over the files"),
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
    "flow": ("prompt flows", "serve the flow with a score.py of your own"),
    "registry": ("registries of their own", "name the registry in a doubleloop/setup file: 'registry: {name: ...}'"),
}
