"""Runs one attempt of one job step: a supervisor process that starts the user's command, watches it and reports.

Started by file path with the interpreter of the user's environment (``<env>/bin/python .../run.py <run dir>/job.json``)
and so written for the standard library alone, from Python 3.7 on. Linux only (``/proc``, ``prctl``).

Three processes stand behind a running step::

    supervisor   holds the lock on the run directory, writes pid and exit.json, pumps the log, counts time and disk
    └─ keeper    adopts every orphan of the command; when the supervisor dies, kills them all
       └─ bash   the user's command, in a session of its own; dies with the keeper

Whichever of the first two is killed, the other one ends the command, so no command outlives its supervision.
"""
