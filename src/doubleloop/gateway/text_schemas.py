"""What an endpoint of a language component says of itself: its task, texts as the body, the fields of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# By the ``task`` that a component writes into its model's metadata: what ``prediction`` is.
TASKS = {
    "text-classification": "The likeliest class",
    "sentiment": "The likeliest mood",
    "language-detection": "The likeliest language",
    "named-entity-recognition": "Entities: start and end in characters (the end not counted), label, text",
    "part-of-speech-tagging": "Tokens: start and end in characters (the end not counted), tag",
    "key-phrases": "Phrases, the best first",
    "summarization": "Sentences of the text that sum it up",
    "question-answering": "The answer, cut out of the context or the documents",
    "translation": "The translation",
    "text-generation": "What follows the text",
    "sentence-splitting": "The text's sentences",
    "tokenization": "The text's tokens",
    "text-normalization": "The text in its normal form",
    "text-embeddings": "A vector of length 1",
}


def describe(operation: dict[str, Any], metadata: Mapping[str, Any], answer: dict[str, Any]) -> None:
    """Say in ``operation`` what the task's request and answer are. ``answer``: the schema of a row's record. A model of
    no such task is left as it is."""
    task = str(metadata.get("task") or "")
    if task not in TASKS:
        return
    properties = {name: dict(each) for name, each in answer["properties"].items()}
    properties["prediction"]["description"] = TASKS[task]
    classes = [str(each) for each in metadata.get("classes") or []]
    if classes:
        properties["prediction"]["enum"] = classes
        properties["probabilities"]["description"] = f"One for each class, in this order: {', '.join(classes)}"
    content = operation["responses"]["200"]["content"]["application/json"]
    content["schema"] = {"type": "array", "items": {**answer, "properties": properties}}
    operation["summary"] = f"{task.replace('-', ' ').capitalize()}: {TASKS[task][0].lower()}{TASKS[task][1:]}"
    body = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]["input_data"]
    if task != "question-answering":
        body["oneOf"].insert(0, {"type": "array", "items": {"type": "string"}, "description": "Texts, one a row"})
