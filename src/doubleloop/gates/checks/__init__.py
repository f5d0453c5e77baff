"""One file per check: ``judge(check, measurements)`` turns what was measured into a verdict with reasons. No I/O."""
