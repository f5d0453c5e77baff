"""What people write: the YAML files of Azure ML's CLI v2 and Doubleloop's own kinds, read into checked models.

Pure: files in, models out. A file becomes a ``Document`` (``documents``), whose model is one of ``kinds``;
``references`` and ``expressions`` take its strings apart, ``pipelines`` gives jobs as uniform steps, ``triggers``
does the arithmetic of schedules, ``compat`` says for every field whether it is honoured, accepted or refused.
"""
