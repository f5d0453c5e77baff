"""Drift and profiles of Parquet files: Doubleloop's own statistics beside their peers and beside decoding alone."""
