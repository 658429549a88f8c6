"""Whether the long tier was asked for; set once by the runner, before any test starts."""

LONG = False
