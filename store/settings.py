"""Settings: every environment variable that Ganymede reads, with its default and meaning."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """What an operator may set, each as `GANYMEDE_<NAME>` in the environment."""

    model_config = SettingsConfigDict(
        env_prefix="GANYMEDE_",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # a secret may stand in the wrong place
    )

    home: Annotated[Path, Field(description="Folder of all embedded state.")] = Path(".ganymede")
    database_url: Annotated[
        str | None,
        Field(
            repr=False,  # it holds a password
            description="SQLAlchemy URL; `sqlite:///HOME/ganymede.db` when unset. PostgreSQL: `postgresql+psycopg://…`.",
        ),
    ] = None
    artifacts_url: Annotated[
        str | None,
        Field(
            description="Where checkpoints and previews live: a folder, or `s3://`, `gs://`, `az://`; HOME/artifacts.",
            validation_alias="GANYMEDE_ARTIFACTS",
        ),
    ] = None
    redis_url: Annotated[
        str, Field(repr=False, description="The doorbell: `redis://host:port/0` or `redis+socket:///path`.")
    ] = "redis://127.0.0.1:6379/0"
    data_dir: Annotated[
        Path | None, Field(description="Folder of data sets, one folder each; HOME/data when unset.")
    ] = None
    host: Annotated[str, Field(description="Address the API listens on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port the API listens on.")] = 8000
    auth: Annotated[
        bool,
        Field(description="Ask for API keys on loopback too, as behind a proxy; elsewhere they are always asked for."),
    ] = False
    execution_provider: Annotated[
        str,
        Field(
            description="What ONNX Runtime draws with, as `CUDAExecutionProvider`. Only the CPU's bytes are the same "
            "with whatever company they are drawn."
        ),
    ] = "CPUExecutionProvider"
    first_key: Annotated[
        SecretStr | None,
        Field(description="An admin's key, `gm_` and 43 characters, to be let in with where there was never a key."),
    ] = None
    scrape_key: Annotated[
        SecretStr | None,
        Field(description="A key that can only read, for Prometheus, let in where there was never a key."),
    ] = None
    lease_seconds: Annotated[Seconds, Field(description="How long a silent worker keeps its job.")] = 60
    heartbeat_seconds: Annotated[Seconds, Field(description="How often a worker renews its lease.")] = 10
    poll_seconds: Annotated[
        Seconds, Field(description="How often an idle worker looks for jobs without being rung.")
    ] = 15
    watch_seconds: Annotated[Seconds, Field(description="How often a worker reads its own job's row.")] = 1
    stall_seconds: Annotated[Seconds, Field(description="How long a child may make no step before it is killed.")] = 600
    drain_seconds: Annotated[Seconds, Field(description="How long a child may take to checkpoint and stop.")] = 10
    sweep_seconds: Annotated[
        Seconds, Field(description="How often files that nothing points at are looked for and removed.")
    ] = 3600
    retry_seconds: Annotated[Seconds, Field(description="Backoff before the second attempt; doubles each time.")] = 5
    webhook_secret: Annotated[
        SecretStr | None,
        Field(description="What webhooks are signed with, `whsec_…`; made and kept in HOME/webhook-secret when unset."),
    ] = None
    redis_timeout_seconds: Annotated[Seconds, Field(description="Longest wait for the doorbell.")] = 2

    @field_validator("database_url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        """Refuse a URL that would be misread, without repeating it: errors of the database name the host."""
        try:
            host = make_url(url).host if url else None
        except (ArgumentError, ValueError):
            raise ValueError("no URL; expected `postgresql+psycopg://…` or `sqlite:///…`") from None
        if host and "@" in host:
            raise ValueError("more than one `@`; expected `%40` for each that belongs to the password")
        return url

    @property
    def database(self) -> str:
        """Return the SQLAlchemy URL in force."""
        return self.database_url or f"sqlite:///{self.home.absolute() / 'ganymede.db'}"

    @property
    def artifacts(self) -> str:
        """Return the URL or folder of artifacts in force."""
        return self.artifacts_url or str(self.home.absolute() / "artifacts")

    @property
    def longest_silence(self) -> timedelta:
        """Return how long a worker may say nothing and still count as alive."""
        return timedelta(seconds=max(self.lease_seconds, 3 * self.poll_seconds))

    @property
    def data(self) -> Path:
        """Return the folder of data sets in force."""
        return self.data_dir or self.home.absolute() / "data"
