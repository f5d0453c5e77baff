"""``doubleloop/labeling``: what people are asked to label, how, and which data asset the result is a version of."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from doubleloop.specs import fields, support
from doubleloop.specs.fields import Duration, Fold, Int, LooseText, Many, Name, Share, Spec, Text
from doubleloop.specs.kinds.schedules import JobField

TASKS = ("image_classification", "text_classification", "entity_spans", "image_segmentation", "ranking")
OF_IMAGES = ("image_classification", "image_segmentation")
Task = Annotated[
    Literal["image_classification", "text_classification", "entity_spans", "image_segmentation", "ranking"], Fold
]
# By these keys labels are chosen where the file names no others; the console has s and u for itself.
KEYS = "123456789"
TAKEN = ("s", "u")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}\Z")


def _color(value: str) -> str:
    if not _COLOR.match(value):
        raise ValueError(f"'{value}' is not a colour of the form '#1f77b4'")
    return value


def _key(value: str) -> str:
    if len(value) != 1 or not value.isprintable() or value.isspace():
        raise ValueError(f"'{value}' is not one key")
    if value in TAKEN:
        raise ValueError(f"'{value}' is taken: s skips an item, u undoes")
    return value


def _named(value: Any) -> Any:
    return value if isinstance(value, dict) else {"name": value}


class Label(Spec):
    title: ClassVar[str] = "labeling › label"

    name: Annotated[Text, Field(min_length=1, max_length=200)] = Field(description="What it is called in the result.")
    key: Annotated[Text, AfterValidator(_key)] | None = Field(
        None, description="Key that chooses it (default: 1 to 9 in their order)."
    )
    color: Annotated[Text, AfterValidator(_color)] | None = Field(None, description="Colour, such as '#1f77b4'.")


def _differ(value: list[Label]) -> list[Label]:
    for what in ("name", "key"):
        given = [getattr(each, what) for each in value if getattr(each, what) is not None]
        twice = next((each for each in given if given.count(each) > 1), None)
        if twice is not None:
            raise ValueError(f"two labels have the {what} '{twice}'")
    return value


class Annotators(Spec):
    title: ClassVar[str] = "labeling › annotators"

    per_item: Annotated[Int, Field(ge=1, le=2)] = Field(1, description="People who label each item: 1 or 2.")
    groups: Annotated[list[Name], Many] = Field(
        default_factory=list, description="Groups who may label (default: all whose role allows it)."
    )


class Gold(Spec):
    """Questions whose answer is known, asked among the others: they tell how well each person labels."""

    title: ClassVar[str] = "labeling › gold"

    data: Text = Field(description="Data asset with the same column, and the known label beside it.")
    label: Text = Field("label", description="Column of the known label.")
    share: Annotated[Share, Field(gt=0, le=0.5)] = Field(0.05, description="Share of each person's items, up to 0.5.")


class Queue(Spec):
    title: ClassVar[str] = "labeling › queue"

    by: Annotated[Literal["uncertainty", "diversity", "drift", "random", "given"], Fold] = Field(
        "given", description="uncertainty, diversity, drift, random, or given: as in the data."
    )
    columns: Annotated[list[Text], Many] = Field(
        default_factory=list,
        description="Columns of probabilities (uncertainty), or of numbers or vectors (diversity, drift).",
    )
    measure: Annotated[Literal["entropy", "margin"], Fold] = Field(
        "entropy", description="Of uncertainty: entropy, or margin between the two likeliest."
    )
    reference: Text | None = Field(None, description="Data asset that drift is measured from.")
    seed: Int = Field(0, description="Of random, and of ties.")
    count: Annotated[Int, Field(ge=1)] | None = Field(
        None, description="Most items, the first in order (default: all)."
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Queue:
        if self.by in ("uncertainty", "diversity", "drift") and not self.columns:
            raise ValueError(f"a queue by {self.by} needs 'columns'")
        if self.by == "drift" and not self.reference:
            raise ValueError("a queue by drift needs 'reference': the data asset that it is measured from")
        return self


def _queue(value: Any) -> Any:
    return {"by": value} if isinstance(value, str) else value


class Training(Spec):
    """The job that is proposed when the labels are a data version. It starts when somebody says so."""

    title: ClassVar[str] = "labeling › train"

    job: JobField = Field(description="Job file, inline job, or azureml:name of a job that ran before.")
    input: Text | None = Field(None, description="Input that gets the new version (default: the only one of data).")


class LabelStudio(Spec):
    """A Label Studio server on which people work: items go there, what is said of them comes back."""

    title: ClassVar[str] = "labeling › label_studio"

    url: Text = Field(description="Address of the server.")
    token: Text = Field(description="Its access token: ${{secrets.NAME}}.")
    every: Duration = Field("5m", description="How often it is asked for labels.")
    webhook_url: Text | None = Field(
        None, description="Address by which it reaches this server, to say that labels came."
    )
    webhook_token: Text | None = Field(None, description="The API token that it does that with: ${{secrets.NAME}}.")

    @model_validator(mode="after")
    def _web(self) -> LabelStudio:
        for address in (self.url, self.webhook_url):
            if address is not None and not address.startswith(("https://", "http://")):
                raise ValueError(f"'{address}' is not an http or https address")
        for text in (self.token, self.webhook_token):
            if text is not None and not text.startswith("${{secrets."):
                raise ValueError("a token is not written into a file: put it into a secret, and name ${{secrets.NAME}}")
        if (self.webhook_url is None) != (self.webhook_token is None):
            raise ValueError("a webhook needs both 'webhook_url' and 'webhook_token'")
        return self


class Labeling(Spec):
    title: ClassVar[str] = "labeling"

    schema_: Text | None = Field(None, alias="$schema", description="doubleloop/labeling")
    name: Name = Field(description="Name of the project.")
    description: LooseText | None = Field(None, description="What it is for.")
    task: Task = Field(description=f"{', '.join(TASKS[:-1])} or {TASKS[-1]}.")
    labels: Annotated[list[Annotated[Label, BeforeValidator(_named)]], AfterValidator(_differ), Field(min_length=1)] = (
        Field(description="Names of the labels, or {name, key, color}.")
    )
    guidelines: LooseText | None = Field(None, description="How to label, in Markdown; shown beside each item.")
    data: Text = Field(description="Data asset to label: a table, or a folder of images.")
    column: Text | None = Field(
        None, description="Column of the text, or of the image (base64, or a path in `images`); none for a folder."
    )
    images: Text | None = Field(None, description="Data asset: the folder that paths of images lead into.")
    output: Name = Field(description="Data asset whose new version the labelled data becomes.")
    annotators: Annotators = Field(
        default_factory=lambda: Annotators.model_validate({}), description="Who labels, and how many."
    )
    review: Annotated[Literal["required", "disagreements", "none"], Fold] = Field(
        "disagreements", description="What a second person looks at: required (all), disagreements, or none."
    )
    gold: Gold | None = Field(None, description="Questions whose answer is known.")
    queue: Annotated[Queue, BeforeValidator(_queue)] = Field(
        default_factory=lambda: Queue.model_validate({}), description="In which order; a word alone is `by`."
    )
    prelabels: Text | None = Field(None, description="Column of labels that a model proposes.")
    hold: Duration = Field("30m", description="How long an item that was handed out is kept for a person.")
    export: Annotated[Literal["csv", "jsonl", "conll", "coco", "yolo", "labelstudio"], Fold] | None = Field(
        None,
        description="Form of the new version that is made as soon as nothing waits (default: csv where a rule opened "
        "the project; otherwise somebody exports it).",
    )
    label_studio: LabelStudio | None = Field(None, description="A Label Studio server on which people label.")
    train: Training | None = Field(
        None, description="The job that is proposed when the labels are a data version; nothing starts by itself."
    )

    @model_validator(mode="after")
    def _there_is_a_choice(self) -> Labeling:
        if self.task.endswith("classification") and len(self.labels) < 2:
            raise ValueError("a classification needs two labels or more")
        return self

    @model_validator(mode="after")
    def _there_is_something_to_show(self) -> Labeling:
        if self.task not in OF_IMAGES and self.column is None:
            raise ValueError(f"'column' is missing: {self.task} needs the column of the text")
        if self.images is not None and (self.task not in OF_IMAGES or self.column is None):
            raise ValueError("'images' needs a task of images, and 'column' with the paths in it")
        return self


def keys(labeling: Labeling) -> dict[str, str]:
    """Key → label: those of the file, and the digits that they leave for the others in their order."""
    chosen = {each.key: each.name for each in labeling.labels if each.key}
    left = iter(key for key in KEYS if key not in chosen)
    for each in labeling.labels:
        key = None if each.key else next(left, None)
        if key is not None:
            chosen[key] = each.name
    return chosen


SUPPORT: dict[type[fields.Spec], support.Rows] = {
    Label: support.rows("name key color"),
    Annotators: support.rows("per_item groups"),
    Gold: support.rows("data label share"),
    Queue: support.rows("by columns measure reference seed count"),
    LabelStudio: support.rows("url token every webhook_url webhook_token"),
    Training: support.rows("job input"),
    Labeling: support.rows(
        "$schema name description task labels guidelines data column images output annotators review gold queue "
        "prelabels hold export label_studio train"
    ),
}
