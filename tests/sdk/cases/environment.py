from doubleloop.sdk.entities import Environment

entity = Environment(
    name="fit",
    version="2",
    description="To fit",
    image="mcr.microsoft.com/azureml/base",
    conda_file="conda.yaml",
    tags={"team": "rides"},
)
