"""Scripts with init() and run(mini_batch): what they get, what becomes of what they return."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pandas
import pytest
from minibatch_runs import Bench


def test_every_file_is_scored_once_in_mini_batches_of_the_size_and_in_order(bench: Bench) -> None:
    bench.files(5)
    bench.script("""
        import os
        def init():
            global seen
            seen = 0
        def run(mini_batch):
            assert all(os.path.isabs(path) for path in mini_batch)
            return [f"{os.path.basename(path)} of {len(mini_batch)}" for path in mini_batch]
    """)
    code, said = bench.run(workers=3)
    assert code == 0, said
    assert bench.rows() == ["f00.txt of 2", "f01.txt of 2", "f02.txt of 2", "f03.txt of 2", "f04.txt of 1"]
    assert bench.summary()["mini_batches"] == 3
    assert not (bench.root / "kept").exists(), "nothing is left behind by a run that went well"


def test_a_frame_is_written_without_header_and_parted_by_spaces(bench: Bench) -> None:
    bench.files(2)
    bench.script("""
        import os, pandas
        def init(): pass
        def run(mini_batch):
            return pandas.DataFrame([[os.path.basename(each), 3, "two words"] for each in mini_batch])
    """)
    code, said = bench.run()
    assert code == 0, said
    assert bench.rows() == ['f00.txt 3 "two words"', 'f01.txt 3 "two words"']
    frame = pandas.read_csv(bench.root / "out" / "predictions.csv", header=None, sep=" ")
    assert frame.values.tolist() == [["f00.txt", 3, "two words"], ["f01.txt", 3, "two words"]]


def test_a_parquet_output_keeps_types_across_mini_batches_that_lack_values(bench: Bench) -> None:
    bench.files(4)
    bench.script("""
        import os, pandas
        def init(): pass
        def run(mini_batch):
            first = mini_batch[0].endswith("f00.txt")
            return pandas.DataFrame({"file": [os.path.basename(e) for e in mini_batch],
                                     "score": [None, None] if first else [1, 2]})
    """)
    code, said = bench.run(append_to=str(bench.root / "out" / "scores.parquet"))
    assert code == 0, said
    frame = pandas.read_parquet(bench.root / "out" / "scores.parquet")
    assert list(frame.columns) == ["file", "score"]
    assert frame["score"].isna().tolist() == [True, True, False, False]
    assert frame["score"].tolist()[2:] == [1, 2]


def test_the_script_finds_model_arguments_output_folder_and_its_neighbours(bench: Bench) -> None:
    bench.files(1)
    (bench.root / "model" / "model.txt").write_text("42")
    (bench.root / "code" / "rows.py").write_text("NAME = 'mine'")  # a file of ours has that name, too
    bench.script("""
        import argparse, os
        import rows
        def init():
            global factor
            parser = argparse.ArgumentParser()
            parser.add_argument("--factor", type=int)
            factor = parser.parse_known_args()[0].factor
        def run(mini_batch, context):
            text = open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.txt")).read()
            with open(os.path.join(os.environ["AZUREML_BI_OUTPUT_PATH"], "own.txt"), "w") as file:
                file.write(text)
            print("from the script")
            yield f"{text} {factor} {rows.NAME} {context.mini_batch_id} {os.path.basename(os.getcwd())}"
    """)
    entry = {"kind": "script", "folder": ".", "script": "score.py", "arguments": ["--factor", "3", "--other", "1"]}
    code, said = bench.run(entry=entry)
    assert code == 0, said
    assert bench.rows() == ["42 3 mine 0 code"]
    assert bench.rows("own.txt") == ["42"]
    assert "from the script" in said


def test_a_failing_mini_batch_is_tried_again_and_the_others_go_on(bench: Bench, tmp_path: Path) -> None:
    bench.files(6)
    bench.script(f"""
        import os
        def init(): pass
        def run(mini_batch):
            name = os.path.basename(mini_batch[0])
            with open({str(tmp_path / "tries")!r}, "a") as file:
                file.write(name + "\\n")
            if name == "f02.txt":
                raise ValueError("cannot read it")
            return [os.path.basename(path) for path in mini_batch]
    """)
    code, said = bench.run(max_retries=2)
    assert code == 0, said
    assert bench.rows() == ["f00.txt", "f01.txt", "f04.txt", "f05.txt"]
    assert (tmp_path / "tries").read_text().split().count("f02.txt") == 3
    assert bench.summary()["failed_files"] == 2
    assert "ValueError: cannot read it" in bench.summary()["failed_mini_batches"]["2"]  # as the log counts them
    told = [each["file"] for each in bench.summary()["failed"]]
    assert told == ["f02.txt", "f03.txt"]
    assert "mini-batch 2 failed and is left out, f02.txt and 1 more: ValueError" in said


@pytest.mark.parametrize(("threshold", "code"), [(1, 1), (2, 0), (-1, 0), (0, 1)])
def test_more_failed_files_than_the_threshold_end_it(bench: Bench, threshold: int, code: int) -> None:
    bench.files(4)
    bench.script("""
        def init(): pass
        def run(mini_batch):
            if mini_batch[0].endswith("f02.txt"):
                raise ValueError("broken")
            return mini_batch
    """)
    found, said = bench.run(error_threshold=threshold, max_retries=0)
    assert found == code, said
    assert ("error_threshold" in said) == bool(code)


def test_fewer_results_than_files_count_as_failed_files(bench: Bench) -> None:
    bench.files(4)
    bench.script("def init(): pass\ndef run(mini_batch): return mini_batch[:1]")
    code, said = bench.run(error_threshold=1)
    assert code == 1
    assert "2 files failed, more than the error_threshold of 1. First: mini-batch 1 gave 1 results for 2 files" in said


def test_when_every_file_fails_the_run_fails_whatever_the_threshold(bench: Bench) -> None:
    bench.files(2)
    bench.script("def init(): pass\ndef run(mini_batch): raise KeyError('age')")
    code, said = bench.run(error_threshold=-1, max_retries=0)
    assert code == 1
    assert "Every file failed. First: mini-batch 1, f00.txt and 1 more: KeyError: 'age'" in said


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("def init(): raise OSError('no model here')\ndef run(m): return m", "It could not begin: OSError: no model"),
        ("def init(): pass", "does not define a function run"),
        ("import not_there_at_all\ndef run(m): return m", "No module named 'not_there_at_all'"),
        ("def init(): pass\ndef run(m): return None", "run() returned NoneType; it must return a list or a data frame"),
        ("def init(): pass\ndef run(m): return 'text'", "run() returned str"),
        ("import numpy\ndef run(m): return numpy.array(3)", "run() returned ndarray"),
    ],
)
def test_a_script_that_breaks_the_contract_is_told_why(bench: Bench, script: str, words: str) -> None:
    bench.files(1)
    bench.script(script)
    code, said = bench.run(max_retries=0)
    assert code == 1
    assert words in said.splitlines()[-1]


def test_a_mini_batch_that_hangs_or_kills_its_process_is_tried_again(bench: Bench, tmp_path: Path) -> None:
    bench.files(6)
    bench.script(f"""
        import os, time
        def init(): pass
        def run(mini_batch):
            mark = {str(tmp_path)!r} + "/mark-" + os.path.basename(mini_batch[0])
            first = not os.path.exists(mark)
            open(mark, "w").close()
            if first and mark.endswith("f00.txt"):
                time.sleep(60)
            if first and mark.endswith("f02.txt"):
                os.kill(os.getpid(), 9)
            return [os.path.basename(path) for path in mini_batch]
    """)
    code, said = bench.run(timeout_s=1)
    assert code == 0, said
    assert len(bench.rows()) == 6
    assert "it took longer than the timeout of 1 s" in said
    assert "killed by signal 9" in said


def test_a_run_that_was_killed_goes_on_where_it_stopped(bench: Bench, tmp_path: Path) -> None:
    bench.files(8)
    bench.script(f"""
        import os, time
        def init(): pass
        def run(mini_batch):
            with open({str(tmp_path / "seen")!r}, "a") as file:
                file.write(" ".join(os.path.basename(path) for path in mini_batch) + "\\n")
            if mini_batch[0].endswith("f04.txt") and not os.path.exists({str(tmp_path / "go")!r}):
                time.sleep(60)
            with open(os.environ["AZUREML_BI_OUTPUT_PATH"] + "/" + os.path.basename(mini_batch[0]), "w") as file:
                file.write("own")
            return [os.path.basename(path) for path in mini_batch]
    """)
    process = bench.start()
    while not (tmp_path / "seen").exists() or "f04" not in (tmp_path / "seen").read_text():
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (tmp_path / "go").touch()
    code, said = bench.run()
    assert code == 0, said
    assert "2 of them were finished before" in said
    seen = (tmp_path / "seen").read_text().splitlines()
    assert seen == ["f00.txt f01.txt", "f02.txt f03.txt", "f04.txt f05.txt", "f04.txt f05.txt", "f06.txt f07.txt"]
    assert bench.rows() == [f"f{number:02}.txt" for number in range(8)]
    assert sorted(path.name for path in (bench.root / "out").iterdir()) == [
        "f00.txt", "f02.txt", "f04.txt", "f06.txt", "predictions.csv",
    ]  # fmt: skip


def test_after_a_failure_the_finished_part_is_kept_and_the_rest_is_tried_again(bench: Bench, tmp_path: Path) -> None:
    bench.files(4)
    bench.script(f"""
        import os
        def init(): pass
        def run(mini_batch):
            if mini_batch[0].endswith("f02.txt") and not os.path.exists({str(tmp_path / "mended")!r}):
                raise ValueError("not yet")
            return [os.path.basename(path) for path in mini_batch]
    """)
    assert bench.run(error_threshold=0, max_retries=0)[0] == 1
    (tmp_path / "mended").touch()
    code, said = bench.run(error_threshold=0, max_retries=0)
    assert code == 0, said
    assert "1 of them were finished before" in said
    assert bench.rows() == ["f00.txt", "f01.txt", "f02.txt", "f03.txt"]


def test_a_full_disk_is_no_fault_of_the_files(bench: Bench) -> None:
    bench.files(6)
    bench.script("""
        import os
        def run(mini_batch):
            part = os.path.join(os.environ["AZUREML_BI_OUTPUT_PATH"], "..", "parts", "1-00000000-000000.part.new")
            if not os.path.exists(part) and not os.path.exists("room"):
                os.symlink("/dev/full", part)
            return [os.path.basename(path) for path in mini_batch]
    """)
    code, said = bench.run(error_threshold=-1)
    assert code == 1 and "try 1 of" not in said
    assert said.splitlines()[-1].startswith("The disk is full: OSError: [Errno 28]")
    (bench.root / "code" / "room").touch()
    (bench.root / "kept" / "parts" / "1-00000000-000000.part.new").unlink()
    code, said = bench.run(error_threshold=-1)
    assert code == 0 and "1 of them were finished before" in said, said
    assert bench.rows() == [f"f{number:02}.txt" for number in range(6)]


def test_other_data_means_that_nothing_was_finished_before(bench: Bench) -> None:
    bench.files(4)
    bench.script("""
        def init(): pass
        def run(mini_batch):
            if mini_batch[0].endswith("f02.txt"):
                raise ValueError("broken")
            return mini_batch
    """)
    assert bench.run(max_retries=0, error_threshold=0)[0] == 1
    assert "1 of them were finished before" in bench.run(max_retries=0, error_threshold=0)[1]
    bench.files(5)
    assert "finished before" not in bench.run(max_retries=0, error_threshold=0)[1]


def test_summary_only_leaves_what_the_script_wrote_and_no_rows(bench: Bench) -> None:
    bench.files(2)
    bench.script("""
        import os
        def init(): pass
        def run(mini_batch):
            for path in mini_batch:
                folder = os.path.join(os.environ["AZUREML_BI_OUTPUT_PATH"], "deep")
                os.makedirs(folder, exist_ok=True)
                open(os.path.join(folder, os.path.basename(path)), "w").close()
                yield True
    """)
    code, said = bench.run(append_to="")
    assert code == 0, said
    assert sorted(str(path.relative_to(bench.root / "out")) for path in (bench.root / "out").rglob("*.txt")) == [
        "deep/f00.txt", "deep/f01.txt",
    ]  # fmt: skip
    assert bench.summary()["results"] == 2


def test_no_files_are_told(bench: Bench) -> None:
    bench.script("def init(): pass\ndef run(m): return m")
    code, said = bench.run()
    assert (code, said.strip()) == (1, "there is nothing to score: the input holds no files")


def test_an_mltable_gives_the_files_it_names_in_its_order(bench: Bench) -> None:
    bench.files(4)
    (bench.root / "data" / "MLTable").write_text("paths:\n  - file: ./f02.txt\n  - pattern: ./f0[01].txt\n")
    bench.script("import os\ndef init(): pass\ndef run(m): return [os.path.basename(p) for p in m]")
    inputs = [{"name": "data", "path": str(bench.root / "data"), "type": "mltable"}]
    code, said = bench.run(inputs=inputs)
    assert code == 0, said
    assert bench.rows() == ["f02.txt", "f00.txt", "f01.txt"]
