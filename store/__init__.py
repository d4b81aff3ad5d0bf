"""What the API and the workers both remember: jobs, events, metrics, checkpoints, files, the doorbell."""
