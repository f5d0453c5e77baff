"""A fitted pipeline as a plan: the same arithmetic without the frame, the checks and the walk around it.

``building`` reads a fitted model and answers a plan or says why there is none; ``columns``, ``encoding``, ``numbers``
are the steps before the estimator, ``estimators`` the last one; ``probes`` makes the rows on which a plan and its model
must agree before it is used, and ``guarded`` holds both and goes back to the model when they do not.
"""
