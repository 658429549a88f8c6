"""Breaks processes, disks and system calls under a running `shacached`, and counts what survives.

What was answered 201 has to be there afterwards, and no wrong byte may ever be served as a whole
file. Where a defence can be switched off, a test with it off has to fail: these are the negative
controls. One file per matter; `python -m faults` runs all. Root rights are needed, for mounts.
"""
