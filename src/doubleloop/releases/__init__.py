"""Releases: the outer loop. One durable workflow takes one model version from stage to stage: retrain, deploy, check,
wait for people, move traffic step by step, and go back by itself when it goes wrong."""
