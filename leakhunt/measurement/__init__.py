"""Measuring: the supervisor starts, limits and watches; the worker calls and reads.

The supervisor never imports the scenario or a framework; the worker never judges.
"""
