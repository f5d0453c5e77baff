"""The project's own tests, run by the release. Counts its runs like the training does."""

import os


def test_the_model_reads_what_the_table_has():
    with open(os.environ["RUNS_FILE"], "a") as file:
        file.write("checks\n")
