"""Search spaces, how they are sampled, and when a trial is given up."""

from doubleloop.sdk.entities.settings import SweepJobLimits
from doubleloop.sdk.steps.searching import (
    BanditPolicy,
    BayesianSamplingAlgorithm,
    Choice,
    GridSamplingAlgorithm,
    LogNormal,
    LogUniform,
    MedianStoppingPolicy,
    Normal,
    Objective,
    QLogNormal,
    QLogUniform,
    QNormal,
    QUniform,
    Randint,
    RandomSamplingAlgorithm,
    Sweep,
    TruncationSelectionPolicy,
    Uniform,
)

__all__ = [
    "BanditPolicy", "BayesianSamplingAlgorithm", "Choice", "GridSamplingAlgorithm", "LogNormal", "LogUniform",
    "MedianStoppingPolicy", "Normal", "Objective", "QLogNormal", "QLogUniform", "QNormal", "QUniform", "Randint",
    "RandomSamplingAlgorithm", "Sweep", "SweepJobLimits", "TruncationSelectionPolicy", "Uniform",
]  # fmt: skip
