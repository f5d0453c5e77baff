"""Measurements of speed and memory. They are no tests: figures are ratios measured in one run, see README.md."""
