"""Figures 6 to 12 and 14 of the Dataflow Model paper (VLDB 2015) as pipelines.

Each module has a pipeline, and the figure that `tidegate figures` draws of it. `example` has the points that
all of them sum.
"""
