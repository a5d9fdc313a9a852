"""The window sum of `bench` in other engines, each of which is a script for an environment of its own.

A script takes the folder of the events, lines of JSON, and a folder for its answer, and writes lines of JSON
with `key`, `window_start` and `total`.
"""
