"""The SDK: train GANs as jobs on a Ganymede service and draw images from them."""

from ganymede.answers import (
    Attempt,
    Checkpoint,
    Classification,
    Event,
    Family,
    Job,
    Key,
    Model,
    Page,
    Preview,
    Sample,
    Score,
    Series,
    Worker,
)
from ganymede.client import Client
from ganymede.errors import ApiError, ConnectionFailed, GanymedeError, JobNotFinished

__all__ = [
    "ApiError",
    "Attempt",
    "Checkpoint",
    "Classification",
    "Client",
    "ConnectionFailed",
    "Event",
    "Family",
    "GanymedeError",
    "Job",
    "JobNotFinished",
    "Key",
    "Model",
    "Page",
    "Preview",
    "Sample",
    "Score",
    "Series",
    "Worker",
]
