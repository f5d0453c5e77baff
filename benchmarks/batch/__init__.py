"""Scoring a large Parquet file: a batch endpoint's own processes beside pandas and scikit-learn, in turns."""
