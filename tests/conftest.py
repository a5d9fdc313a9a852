"""Hypothesis without deadlines: how fast a machine is that day is no property of the code."""

from hypothesis import settings

settings.register_profile("steady", deadline=None)
settings.load_profile("steady")
