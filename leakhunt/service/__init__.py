"""Soaking a running service: load on it from one side, readings of it from the other.

The parent (`loop.py`) starts or finds the service (`service.py`), reads its whole process tree
from outside (`process_tree.py`) and, where the service listens, its live memory from inside
(`agent_client.py`). The load is Locust's, in a process of its own (`load_generator.py`); what that
counts it leaves in shared memory (`shared_counters.py`, written by `locust_plugin.py` in Locust).
"""
