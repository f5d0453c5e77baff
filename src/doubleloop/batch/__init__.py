"""Batch endpoints: addresses that stay, deployments behind them, and invocations, each of which is a job."""
