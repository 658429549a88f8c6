"""What hostile clients get: odd, slow, large and many requests against a running `shacached`.

Every test starts the real server as `interop` does and attacks it from outside, directly or through
the proxies that stand in front of it in the field. A test that holds against our server is held
against `naive.py` as well, a server without defences, or against ours with the defence configured
away, and has to fail there. `python -m hostile` runs all; with `--long` it runs the full numbers.
"""
