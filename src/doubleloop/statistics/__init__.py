"""Judging columns of numbers and labels: drift, data quality, model performance, and profiles that can be merged.

Pure functions over polars, pyarrow and numpy: no files, no clock, no network. The definitions are the ones of Azure
Machine Learning's model monitoring, so thresholds that people own keep their meaning; the few places where we differ
are listed in ``docs/statistics.md``.
"""
