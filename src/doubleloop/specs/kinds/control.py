"""Steps that decide which other steps of their pipeline run, and how often."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from doubleloop.specs import support
from doubleloop.specs.fields import Fold, Int, LooseText, Many, Scalar, Spec, Text
from doubleloop.specs.kinds import jobs
from doubleloop.specs.kinds.values import JobOutput


class _Control(jobs.Described):
    comment: LooseText | None = Field(None, description="A remark.")

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return True


class IfElse(_Control):
    """Steps that run when a condition is true, or when it is false. Unknown fields pass, as they do in Azure ML."""

    title: ClassVar[str] = "pipeline job › if_else step"

    type: Annotated[Literal["if_else"], Fold] = Field("if_else", description="if_else")
    condition: Scalar = Field(description="true, false, a pipeline input, or a step's output with a value.")
    true_block: Annotated[list[Text], Many] | None = Field(None, description="${{parent.jobs.STEP}}, or several.")
    false_block: Annotated[list[Text], Many] | None = Field(None, description="${{parent.jobs.STEP}}, or several.")

    @model_validator(mode="after")
    def _some_block(self) -> IfElse:
        if not self.true_block and not self.false_block:
            raise ValueError("give a true_block, a false_block, or both")
        return self


class LoopLimits(Spec):
    title: ClassVar[str] = "pipeline job › do_while step › limits"

    max_iteration_count: Annotated[Int, Field(ge=1, le=1000)] = Field(description="Most rounds, 1 to 1000.")

    @model_validator(mode="before")
    @classmethod
    def _other_name(cls, data: Any) -> Any:
        """``max_iterations`` is written too, and means the same."""
        if isinstance(data, dict) and "max_iterations" in data and "max_iteration_count" not in data:
            rest = {key: value for key, value in data.items() if key != "max_iterations"}
            return {**rest, "max_iteration_count": data["max_iterations"]}
        return data


class DoWhile(_Control):
    """A step that is repeated while its condition holds. Unknown fields pass, as they do in Azure ML."""

    title: ClassVar[str] = "pipeline job › do_while step"

    type: Annotated[Literal["do_while"], Fold] = Field("do_while", description="do_while")
    body: Text = Field(description="The step that is repeated: ${{parent.jobs.STEP}}.")
    condition: Text | None = Field(
        None, description="Output of the body with a value: it is repeated while that is true."
    )
    mapping: dict[str, Annotated[list[Text], Many]] = Field(
        default_factory=dict, description="Output of the body: the inputs that it becomes in the next round."
    )
    limits: LoopLimits = Field(description="Most rounds.")


class ParallelFor(_Control):
    """A step that runs once for each item. Unknown fields pass, as they do in Azure ML."""

    title: ClassVar[str] = "pipeline job › parallel_for step"

    type: Annotated[Literal["parallel_for"], Fold] = Field("parallel_for", description="parallel_for")
    body: Text = Field(description="The step that is repeated: ${{parent.jobs.STEP}}.")
    items: Any = Field(description="List of inputs for the body, mapping of names to them, or either as JSON.")
    max_concurrency: Annotated[Int, Field(ge=1)] | None = Field(None, description="Items at once; all when left out.")
    outputs: dict[str, JobOutput] = Field(default_factory=dict, description="Bindings of the collected outputs.")


SUPPORT: dict[type[Spec], support.Rows] = {
    _Control: support.rows(f"{jobs.DESCRIBED} comment"),
    IfElse: support.rows("condition true_block false_block"),
    LoopLimits: support.rows("max_iteration_count"),
    DoWhile: support.rows("body condition mapping limits"),
    ParallelFor: support.rows("body items max_concurrency outputs"),
}
