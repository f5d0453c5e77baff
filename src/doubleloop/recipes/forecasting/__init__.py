"""Forecasts of one series, or of several that move together, from their own past: statsmodels, and an LSTM in torch."""
