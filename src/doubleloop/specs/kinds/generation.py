"""Azure's two signals about what language models generate."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from doubleloop.specs import support
from doubleloop.specs.fields import Accepted, Flag, Fold, Many, Share, Spec, Text
from doubleloop.specs.kinds.signal_data import Limit, SignalData


class TokenLimits(Spec):
    title: ClassVar[str] = "generation_token_statistics › totaltoken"

    total_token_count: Limit | None = Field(None, description="Tokens of all answers of the window; alert above.")
    total_token_count_per_group: Limit | None = Field(None, description="Of one version of a model; alert above.")


class TokenThresholds(Spec):
    title: ClassVar[str] = "generation_token_statistics › metric_thresholds"

    totaltoken: TokenLimits | None = Field(None, description="Limits of how many tokens there are.")


class Generation(Spec):
    alert_enabled: Flag = Field(True, description="Whether a crossed threshold raises an alert.")
    production_data: Annotated[list[SignalData], Many] | None = Field(
        None, description="What was answered; left out, the endpoint's log."
    )
    properties: Accepted | None = Field(None, description="Settings of Azure's own component.")
    sampling_rate: Share | None = Field(None, description="Share of requests to look at.")


class TokenStatistics(Generation):
    """Counts that the model answers beside its text: prompt_tokens and completion_tokens, or total_tokens."""

    title: ClassVar[str] = "monitor › generation_token_statistics"

    type: Annotated[Literal["generation_token_statistics"], Fold] = Field(description="generation_token_statistics")
    metric_thresholds: TokenThresholds | None = Field(None, description="When it alerts (default: never).")


class SafetyQuality(Generation):
    """Needs a judge: a ``custom`` signal whose component asks one computes it."""

    title: ClassVar[str] = "monitor › generation_safety_quality"

    type: Annotated[Literal["generation_safety_quality"], Fold] = Field(description="generation_safety_quality")
    reference_data: SignalData | None = Field(None, description="What to compare with.")
    metric_thresholds: Accepted | None = Field(None, description="Metrics and when they alert.")
    connection_id: Text | None = Field(None, description="Connection of the judge.")
    workspace_connection_id: Text | None = Field(None, description="Older name of connection_id.")


_EVERY = {"properties": support.AZURE, "sampling_rate": "has no effect here: every request is looked at"}
_JUDGE = "belongs to a signal that needs a judge: let a custom signal's component ask one"
SUPPORT: dict[type[Spec], support.Rows] = {
    TokenLimits: support.rows("total_token_count total_token_count_per_group"),
    TokenThresholds: support.rows("totaltoken"),
    TokenStatistics: support.rows("type alert_enabled production_data metric_thresholds", _EVERY),
    SafetyQuality: support.rows(
        "alert_enabled",
        {
            "type": "needs a judge, which Doubleloop has none of: let a custom signal's component ask one",
            "production_data reference_data metric_thresholds connection_id workspace_connection_id": _JUDGE,
            **_EVERY,
        },
    ),
}
