"""The language components on small data: what they learn, what they leave, and how their models answer."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy
import pandas
import pytest

from doubleloop.quarantine import pickles
from doubleloop.recipes.language import preparing, reading, slicing, summarising, tagging
from doubleloop.recipes.shared import contracts, run
from doubleloop.recipes.shared.problems import BadData

GOOD, BAD = ("great", "lovely", "fine", "superb"), ("awful", "poor", "sad", "broken")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, chance = tmp_path_factory.mktemp("data"), random.Random(0)
    moods = []
    for number in range(120):
        label = chance.choice(["pos", "pos", "neg"])
        words = chance.sample(GOOD if label == "pos" else BAD, 2)
        moods.append(
            {"text": f"The {chance.choice(['film', 'book'])} {number} was {words[0]}, {words[1]}.", "label": label}
        )
    tagged = "".join(
        f"{chance.choice(['Ada', 'Grace', 'Alan'])}{number % 7} B-PER\nsaw O\n{chance.choice(['New', 'Old'])} B-LOC\n"
        f"{chance.choice(['York', 'Bergen'])}{number % 5} I-LOC\n. O\n\n"
        for number in range(80)
    )
    parts = [f"Part {number} of the tale is about {chance.choice(GOOD)} weather." for number in range(300)]
    long = [
        {"text": " ".join(
            [*parts[place : place + 4], f"In summary, rivers flood towns {place}.", f"Topic{place}s, topic{place}s."]
        ), "summary": f"Rivers flood towns {place}.", "phrases": f"topic{place}s; snow"}
        for place in range(0, 240, 6)
    ]  # fmt: skip
    questions = [
        {"question": f"What floods towns {place}?", "context": each["text"], "answer": each["summary"]}
        for place, each in zip(range(0, 240, 6), long, strict=True)
    ]
    for name, rows in (("moods", moods), ("long", long), ("questions", questions)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "tagged.conll").write_text(tagged)
    return folder


def made(folder: Path, module: str, *words: Any) -> tuple[dict[str, Any], Any]:
    """metrics.json and the loaded model."""
    code = run.main([f"language.{module}", *map(str, words), "--model", f"{folder}/m", "--evaluation", f"{folder}/e"])
    assert code == 0
    assert pickles.scan(folder / "m") == [], "a release's scan lets it pass"
    return json.loads((folder / "e" / "metrics.json").read_text()), mlflow.pyfunc.load_model(str(folder / "m"))


def answers(model: Any, *texts: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = model.predict(pandas.DataFrame({"text": list(texts)})).to_dict("records")
    return found


@pytest.mark.parametrize("task", ["text-classification", "sentiment", "language-detection"])
def test_classes_of_texts_are_learnt(data: Path, tmp_path: Path, task: str) -> None:
    told, model = made(
        tmp_path, "classifying", "--task", task, "--training-data", data / "moods.jsonl", "--labels", "pos, neg",
        "--terms", "films: film",
    )  # fmt: skip
    assert told["metrics"]["macro_f1"] > 0.95 > 0.6 > told["baseline"]["metrics"]["macro_f1"]
    assert (
        set(told["metrics"]) == set(told["baseline"]["metrics"]) == {"accuracy", "macro_f1", "weighted_f1", "log_loss"}
    )
    assert sum(told["rows"].values()) == 120
    slices = pandas.read_csv(tmp_path / "e" / "slices.csv")
    assert set(slices["column"]) == {"length", "script", "label", "term films"}
    classes = model.metadata.metadata["classes"]
    assert model.metadata.metadata["task"] == task and classes == ["neg", "pos"]
    one, two = answers(model, "A lovely, superb thing", "")
    assert (
        one["prediction"] == "pos" and one["probabilities"][1] > 0.6 and sum(two["probabilities"]) == pytest.approx(1)
    )


def test_entities_are_learnt_and_answered_as_spans(data: Path, tmp_path: Path) -> None:
    told, model = made(
        tmp_path, "tagging", "--task", "named-entity-recognition", "--training-data", data / "tagged.conll",
        "--labels", "PER, LOC", "--algorithm", "lbfgs", "--rounds", 20,
    )  # fmt: skip
    assert told["metrics"]["entity_f1"] > 0.95
    text = "Grace3 saw Old York1. Ada2 saw New Bergen4."
    (found,) = answers(model, text)
    assert [(each["label"], each["text"]) for each in found["prediction"]] == [
        ("PER", "Grace3"), ("LOC", "Old York1"), ("PER", "Ada2"), ("LOC", "New Bergen4"),
    ]  # fmt: skip
    assert all(text[each["start"] : each["end"]] == each["text"] for each in found["prediction"])
    assert answers(model, "")[0]["prediction"] == []
    labels = pandas.read_csv(tmp_path / "e" / "labels.csv")
    assert set(labels["label"]) == {"PER", "LOC"}


def test_an_entity_that_begins_with_i_is_one() -> None:
    tokens = [("a", 0, 1), ("b", 2, 3), ("c", 4, 5), ("d", 6, 7)]
    found = tagging.spans("a b c d", tokens, ["I-X", "I-X", "I-Y", "B-Y"])
    assert [(each["label"], each["text"]) for each in found] == [("X", "a b"), ("Y", "c"), ("Y", "d")]


def test_words_are_tagged(data: Path, tmp_path: Path) -> None:
    told, model = made(
        tmp_path, "tagging", "--task", "part-of-speech-tagging", "--training-data", data / "tagged.conll",
    )  # fmt: skip
    assert told["metrics"]["accuracy"] > 0.95 and "entity_f1" not in told["metrics"]
    (found,) = answers(model, "Ada0 saw New York0.")
    assert [each["tag"] for each in found["prediction"]] == ["B-PER", "O", "B-LOC", "I-LOC", "O"]


def test_sentences_are_learned_from_that_together_lie_nearest_to_a_summary() -> None:
    said = ["Rain fell.", "Rivers flood towns in spring.", "Rivers flood towns.", "Crops die in drought.", "It is so."]
    # The second sentence has all words of the first half; the third would add none of the other.
    assert summarising.nearest(said, "Rivers flood towns in spring, and crops die in drought.", 3) == [1, 3]
    assert summarising.nearest(said, "Nothing of it.", 3) == [4], "one word is shared"
    assert summarising.nearest(said, "Wholly else", 3) == []
    alike = numpy.eye(4)
    alike[0, 1] = alike[1, 0] = 0.9
    assert summarising.picked(numpy.array([1.0, 0.9, 0.8, 0.0]), alike, 2) == [0, 2], (
        "the second says what the first did"
    )
    assert summarising.picked(numpy.array([0.5, 0.5]), numpy.eye(2), 3) == [0, 1]


def test_sentences_are_picked_as_the_summaries_teach(data: Path, tmp_path: Path) -> None:
    told, model = made(
        tmp_path, "summarising", "--task", "summarization", "--training-data", data / "long.jsonl", "--length", 1,
    )  # fmt: skip
    assert told["metrics"]["rougel"] > 0.7 > 0.4 > told["baseline"]["metrics"]["rougel"]
    text = "It was late. It was long. It was wet. Then all left. In summary, rivers flood towns 7. It ended, ended."
    assert answers(model, text, "Short.") == [
        {"prediction": "In summary, rivers flood towns 7."}, {"prediction": "Short."}
    ]  # fmt: skip


def test_what_people_call_a_key_phrase_is_learnt_where_rarity_does_not_tell_it(tmp_path: Path) -> None:
    chance = random.Random(3)
    names = ("falcon", "otter", "badger", "heron", "lynx", "marten", "stoat", "vole", "hare", "wren", "kite", "newt")
    rows = []
    for number in range(60):
        told, *others = chance.sample(names, 4)
        rare = " ".join(f"oddity{number}x{each}" for each in range(12))
        rows.append({"text": f"{told}: of {others[0]}, {others[1]}, {others[2]} and {rare}.", "phrases": [told]})
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asked = ("phrasing", "--task", "key-phrases", "--training-data", tmp_path / "rows.jsonl", "--longest", 1)
    told_, model = made(tmp_path, *asked, "--label", "phrases")
    assert told_["metrics"]["recall_at_10"] == 1.0
    text = "Otter: of lynx, heron and strangeness, weirdness, rareness, bareness."
    (found,) = answers(model, text)
    assert found["prediction"][0] == "otter" and 0.5 < found["scores"][0] < 1
    (tmp_path / "unlearnt").mkdir()
    _, model = made(tmp_path / "unlearnt", *asked)
    assert answers(model, text)[0]["prediction"][0] != "otter", "rare words come first where nothing was learnt"


def test_phrases_of_a_text_are_those_rare_in_the_corpus(data: Path, tmp_path: Path) -> None:
    told, model = made(
        tmp_path, "phrasing", "--task", "key-phrases", "--training-data", data / "long.jsonl", "--label", "phrases",
    )  # fmt: skip
    assert told["metrics"]["recall_at_10"] == 1, "snow is in no text, so nobody could find it"
    (found,) = answers(model, "Sorting networks compare. Sorting networks swap. The weather is fine.")
    assert found["prediction"][0] == "sorting networks" and found["scores"] == sorted(found["scores"], reverse=True)
    assert "weather" not in found["prediction"], "it is in most texts, so it is a stop word of this corpus"


def test_questions_are_answered_by_the_nearest_sentence(data: Path, tmp_path: Path) -> None:
    told, model = made(
        tmp_path, "answering", "--task", "question-answering", "--training-data", data / "questions.jsonl",
        "--documents", data / "long.jsonl",
    )  # fmt: skip
    assert told["metrics"]["sentence_recall"] == 1 > told["baseline"]["metrics"]["sentence_recall"]
    assert model.metadata.metadata["reader"].startswith("none")
    asked = pandas.DataFrame({"question": ["What floods towns 42?", "Who ran?"], "context": [None, "It fell. Bo ran."]})
    assert model.predict(asked)["prediction"].tolist() == ["In summary, rivers flood towns 42.", "Bo ran."]


def test_texts_are_made_ready_as_tables_and_as_models(data: Path, tmp_path: Path) -> None:
    found = {}
    for step, more in (
        ("sentence-splitting", []),
        ("tokenization", ["--lower", "true"]),
        ("text-embeddings", ["--size", 8]),
    ):
        words = ["--task", step, "--training-data", data / "long.jsonl", "--output", tmp_path / step, *more]
        told, model = made(tmp_path / f"of {step}", "preparing", *words)
        found[step] = (
            pandas.read_parquet(tmp_path / step),
            answers(model, "Rivers flood. Towns!")[0]["prediction"],
            told,
        )
    table, said, told = found["sentence-splitting"]
    assert list(said) == ["Rivers flood.", "Towns!"] and len(table) == 40 * 6 == told["rows"]["out"]
    assert table["sentence"].tolist()[:7] == [1, 2, 3, 4, 5, 6, 1] and table["text"][4].startswith("In summary")
    table, said, told = found["tokenization"]
    assert list(said) == ["rivers", "flood", ".", "towns", "!"] and list(table["tokens"][0][:2]) == ["part", "0"]
    table, said, told = found["text-embeddings"]
    assert len(said) == 8 and sum(each**2 for each in said) == pytest.approx(1) and len(table["embedding"][0]) == 8


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Dr. Who met J. S. Bach at 5.30 p.m. in St. Petersburg. He left!", 2),
        ("Er kommt z.B. morgen. Wirklich?! „Ja.“ sagte sie.", 3),
        ("これは文です。これも。", 2),
        ("no end", 1),
        ("One... two. Three", 2),
        ("Heading\n\nA text.", 2),
        ("  ", 0),
    ],
)
def test_sentences_end_where_readers_would_say(text: str, wanted: int) -> None:
    found = preparing.sentences(text)
    assert len(found) == wanted, found
    assert all(text[start:end] == said for said, start, end in found)


def test_normal_forms() -> None:
    assert preparing.normal("  ﬁne &amp; caf\u0065\u0301\u200b\x07 ") == "fine & café"
    said = preparing.normal("See https://a.example/x or me@b.example, Ångström", lower=True, mask=True, marks=False)
    assert said == "see <url> or <mail>, angstrom"


def test_bad_data_ends_with_65_and_leaves_nothing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--training-data",
        str(data / "moods.jsonl"),
        "--model",
        str(tmp_path / "m"),
        "--evaluation",
        str(tmp_path),
    ]
    for module, more, told in (
        ("classifying", ["--task", "sentiment", "--labels", "pos"], "moods.jsonl, row"),
        ("classifying", ["--task", "sentiment", "--terms", "she, her"], "NAME: term"),
        ("classifying", ["--task", "sentiment", "--checkpoint", str(data)], "no config.json"),
        ("tagging", ["--task", "part-of-speech-tagging", "--text", "body"], "no column 'body'"),
        ("summarising", ["--task", "summarization"], "no column 'summary'"),
        ("answering", ["--task", "question-answering", "--question", "text"], "nothing to look for answers in"),
    ):
        assert run.main([f"language.{module}", *words, *more]) == 65
        assert told in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_metrics_are_told_by_the_language_that_a_model_sees(data: Path, tmp_path: Path) -> None:
    words = {"en": ("the film was good", "a bad book"), "de": ("der Film war gut", "ein schlechtes Buch")}
    rows = [
        {"text": f"{text} {number}", "language": language, "mood": mood}
        for number in range(30)
        for language, texts in words.items()
        for text, mood in zip(texts, ("good", "bad"), strict=True)
    ]
    (tmp_path / "two.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "languages").mkdir()
    made(
        tmp_path / "languages", "classifying", "--task", "language-detection", "--training-data",
        tmp_path / "two.jsonl", "--label", "language",
    )  # fmt: skip
    asked = ("classifying", "--task", "sentiment", "--training-data", tmp_path / "two.jsonl", "--label", "mood")
    made(tmp_path, *asked, "--language-model", tmp_path / "languages" / "m")
    slices = pandas.read_csv(tmp_path / "e" / "slices.csv")
    by = slices[slices["column"] == "language"].set_index("value")["rows"]
    seen = pandas.read_csv(tmp_path / "e" / "predictions.csv")["text"].str.contains("the|book").value_counts()
    assert by.to_dict() == {"en": seen[True], "de": seen[False]}

    with pytest.raises(BadData, match="language_model is of the task 'sentiment'"):
        slicing.languages(["a"], str(tmp_path / "m"))
    with pytest.raises(BadData, match="language_model cannot be loaded"):
        slicing.languages(["a"], str(tmp_path))


CONTRACT = """
columns: {text: {type: string, matches: "[^0]*"}, label: {nullable: false}}
rows: {at_least: 3}
"""


@pytest.mark.parametrize("file, content", [
    ("rows.csv", "text,label,likes\nAda 10,[],1\nGrace,[],\n"),
    ("rows.conll", "Ada B-PER\n10 O\n\nGrace B-PER\n"),
    ("rows.jsonl", '{"text": "Ada 10", "label": [], "likes": 1}'),
])  # fmt: skip
def test_data_that_breaks_the_contract_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, content: str
) -> None:
    (tmp_path / "contract.yml").write_text(CONTRACT)
    (tmp_path / file).write_text(content)
    for module, task in (("tagging", "named-entity-recognition"), ("preparing", "tokenization")):
        if module == "preparing" and file.endswith(".conll"):
            continue
        output = ("--output", f"{tmp_path}/o") if module == "preparing" else ()
        code = run.main([
            f"language.{module}", "--task", task, "--training-data", f"{tmp_path}/{file}", *output, "--contract",
            f"{tmp_path}/contract.yml", "--model", f"{tmp_path}/m", "--evaluation", f"{tmp_path}/e",
        ])  # fmt: skip
        said = capsys.readouterr().err
        assert code == run.BAD_DATA, said
        rows = 1 if file.endswith("jsonl") else 2
        assert f"{file} breaks contract.yml: the table breaks 'rows': it has {rows}; column text breaks" in said
        assert "'matches' in 1 rows (row 1: Ada 10); mend" in said
        assert not (tmp_path / "m").exists()


def test_a_contract_sees_what_a_csv_file_means() -> None:
    cells = [("12", "true", "", "a"), ("", "FALSE", "", "")]
    rows = [reading.Row("a.csv", number, dict(zip("abcd", row, strict=True))) for number, row in enumerate(cells, 1)]
    frame = reading.frame(rows)
    number, flag, nothing, text = ({"columns": {name: {"type": kind}}} for name, kind in (
        ("a", "integer"), ("b", "boolean"), ("c", "date"), ("d", "string")))  # fmt: skip
    now = datetime.now(UTC)
    assert [list(contracts.broken(each, frame, now)) for each in (number, flag, nothing, text)] == [[], [], [], []]
    assert list(contracts.broken({"columns": {"a": {"nullable": False}}}, frame, now))
    assert list(contracts.broken({"columns": {"d": "number"}}, frame, now))


def test_further_data_counts_as_much_as_it_is_said_to(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "further.jsonl").write_text(
        "\n".join(json.dumps({"text": f"superb {number}", "label": "neg"}) for number in range(6))
    )
    asked = (
        "--task",
        "sentiment",
        "--training-data",
        data / "moods.jsonl",
        "--further-data",
        tmp_path / "further.jsonl",
    )
    for weight, expected in ((0.001, "pos"), (50, "neg")):
        (tmp_path / f"{weight}").mkdir()
        _, model = made(tmp_path / f"{weight}", "classifying", *asked, "--further-weight", weight)
        assert answers(model, "superb")[0]["prediction"] == expected
    code = run.main(["language.classifying", *map(str, asked), "--further-weight", "0", "--model", "m",
                     "--evaluation", "e"])  # fmt: skip
    assert code == run.BAD_DATA and "further_weight is 0" in capsys.readouterr().err
