"""What runs: commands, components, sweeps, parallel steps, Spark, and pipelines composed of them by functions."""
