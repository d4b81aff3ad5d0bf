"""The HTTP API: accepts jobs, answers questions about them, serves what they generate."""
