"""Composing pipelines by functions: ``@dsl.pipeline``, and steps that decide which others run."""

from doubleloop.sdk.steps.control import condition, do_while, parallel_for
from doubleloop.sdk.steps.pipelines import pipeline

__all__ = ["condition", "do_while", "parallel_for", "pipeline"]
