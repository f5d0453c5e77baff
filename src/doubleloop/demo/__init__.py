"""The demonstration: a whole life cycle of one model on real data, played against a running installation."""
