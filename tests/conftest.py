"""What every test may rely on: Hypothesis without time limits, for a loaded machine is not a fault."""

from hypothesis import settings

settings.register_profile("genba", deadline=None)
settings.load_profile("genba")
