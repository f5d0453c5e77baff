"""Online endpoints: addresses that stay, deployments behind them that come and go, and the traffic between."""
