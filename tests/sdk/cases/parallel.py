from doubleloop.sdk import Input, Output, dsl
from doubleloop.sdk.parallel import RunFunction, parallel_run_function

score = parallel_run_function(
    name="score",
    display_name="Score in mini-batches",
    inputs={"rows": Input(type="uri_folder", mode="ro_mount")},
    outputs={"scores": Output(type="uri_file", mode="rw_mount")},
    input_data="${{inputs.rows}}",
    instance_count=1,
    max_concurrency_per_instance=2,
    mini_batch_size="2",
    mini_batch_error_threshold=1,
    error_threshold=5,
    logging_level="INFO",
    retry_settings={"max_retries": 2, "timeout": 60},
    task=RunFunction(
        code="./src",
        entry_script="train.py",
        program_arguments="--quick yes",
        append_row_to="${{outputs.scores}}",
        environment="azureml:env:1",
    ),
)


@dsl.pipeline(default_compute="cpu-cluster")
def scoring(rows):
    scored = score(rows=rows)
    return {"scores": scored.outputs.scores}


entity = scoring(rows=Input(type="uri_folder", path="azureml:rows:1"))
