"""Promotion bundles: what is released to production with everything it depends on, as one signed thing."""
