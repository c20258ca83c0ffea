"""Budgets for memory growth, and whether runs keep them. Pure."""
