"""One model served by Doubleloop and by its peers, asked in turns by one load generator.

``python -m benchmarks.serving`` measures and reports; ``python -m benchmarks.serving.soak`` lets Doubleloop run long.

The order of reading: ``model`` (what is served), ``catalog`` (who serves it), ``servers`` (start, check, stop),
``load`` (who asks), ``rounds`` (in which order), ``figures`` and ``bars`` (what is made of it), ``report``.
"""
