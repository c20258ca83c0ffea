"""The contract of scenarios: found, described, chosen from."""
