"""The catalog of training components: one folder for each family, one YAML file for each component, and their Python.

It runs in users' jobs, in environments of its own (``recipes-…`` among the curated ones), and is never imported by the
server. A job carries a copy of ``shared`` and of its family as its code, started by ``python shared/run.py
FAMILY.MODULE``, under the name ``doubleloop_recipes``; so does a model that is made of classes of ours.
"""
