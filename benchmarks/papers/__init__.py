"""Runs of what the papers report: jobs of the service, gathered in docs/results.json, shown in docs/results.md."""
