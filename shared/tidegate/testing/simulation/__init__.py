"""A deterministic simulation of a deployment: one seed decides the schedule and every fault.

The production code of engine, coordinator and tasks runs unchanged over simulated ports; a process is a
greenlet that may lose its turn, and its life, at every call of a port. The same seed gives the same run. The
method is FoundationDB's (SIGMOD 2021, section 4); that ports are the only switch points is what makes it
possible without touching the code under test.
"""
