"""Soaking a running service: load on it from one side, readings of it from the other.

The parent (`soaking.py`) starts or finds the service (`started.py`), reads its whole process tree
from outside (`tree.py`) and, where the service listens, its live memory from inside (`within.py`).
The load is Locust's, in a process of its own (`load.py`); what that counts it leaves in shared
memory (`counters.py`, written by `counting.py` within Locust).
"""
