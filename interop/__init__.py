"""Judges a running `shacached` from outside, as the programs in the field see it.

Every test starts the real server from `target/debug` (or the one named by the environment variable
`SHACACHED`) on a free port with a data folder of its own, and drives it with the real Python client
from a virtual environment that `./test` makes. One file per matter; `python -m interop` runs all.
"""
