"""Environments: from what people wrote (conda file, image, curated name) to a built Python environment.

``conda`` and ``curated`` read what was written into an ``EnvironmentSpec``; ``rules`` applies the workspace's package
substitutions and refuses sources that cannot be had; ``locks`` pins every package; ``builder`` makes the environment
once per lock, whoever asks. Docker is not needed: an image is recorded and stands for its Python version.
"""
