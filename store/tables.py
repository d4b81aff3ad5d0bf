"""The tables. Rows are seen in `store` only; others get the frozen dataclasses of its nouns."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from store.clock import Instant

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only where the column's type is exactly INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")


def _job(primary_key: bool = False) -> Column[int]:
    key = ForeignKey("jobs.number", ondelete="CASCADE")
    return Column("job_number", Number, key, primary_key=primary_key, nullable=False, autoincrement=False)


jobs = Table(
    "jobs",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("name", Text),
    Column("family", String(64), nullable=False),
    Column("dataset", String(64), nullable=False),
    Column("tags", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("state_reason", Text),
    Column("priority", Integer, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("origin", JSON),  # the job and step whose checkpoint it begins with, and how
    Column("origin_job_id", String(36)),  # the job in it, to be found by
    Column("numerics", JSON),  # what fixes the numbers beside the spec: data digest, numerics_version, …
    Column("step", BigInteger, nullable=False),
    Column("total_steps", BigInteger, nullable=False),
    Column("images_per_second", Float),
    Column("metrics", JSON, nullable=False),  # the newest value of each
    Column("health", JSON),  # the newest verdict on the run, its reasons and the step
    Column("token", BigInteger, nullable=False),  # rises with every claim; the fence
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False),  # retryable ones since the newest checkpoint
    Column("max_attempts", Integer, nullable=False),
    Column("worker_id", String(100)),
    Column("key_id", String(36)),  # the API key that posted it
    Column("lease_expires_at", Instant),
    Column("not_before", Instant),  # backoff after a failure
    Column("error", JSON),
    Column("created_at", Instant, nullable=False),
    Column("queued_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Index("ix_jobs_origin_job_id", "origin_job_id"),
    Index("ix_jobs_key_id_state", "key_id", "state"),
)
# The queue in the order of claims, and each filter of a list with the others: neither needs to look at a row.
Index("ix_jobs_queue", jobs.c.state, jobs.c.priority.desc(), jobs.c.number, jobs.c.not_before, jobs.c.queued_at)
Index("ix_jobs_state", jobs.c.state, jobs.c.number, jobs.c.family, jobs.c.dataset, jobs.c.name)
Index("ix_jobs_family", jobs.c.family, jobs.c.number, jobs.c.state, jobs.c.dataset, jobs.c.name)
Index("ix_jobs_dataset", jobs.c.dataset, jobs.c.number, jobs.c.state, jobs.c.family, jobs.c.name)
Index("ix_jobs_name", jobs.c.name, jobs.c.number, jobs.c.state, jobs.c.family, jobs.c.dataset)

attempts = Table(
    "attempts",
    metadata,
    _job(primary_key=True),
    Column("token", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),  # counted since the newest checkpoint
    Column("worker_id", String(100), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("state", String(16)),  # what it left the job in
    Column("log", Text, nullable=False),  # the end of what the child said
)

failed_attempts = Table(
    "failed_attempts",  # how many in all, those of jobs that have been deleted since too
    metadata,
    Column("code", String(64), primary_key=True),
    Column("count", BigInteger, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", String(255), primary_key=True),
    _job(),
    Column("body_digest", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_idempotency_keys_job_number", "job_number"),
)

events = Table(
    "events",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    _job(),
    Column("type", String(64), nullable=False),
    Column("data", JSON, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_events_job_number_seq", "job_number", "seq"),
    sqlite_autoincrement=True,  # a number is never used twice, even after a deletion
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(40), primary_key=True),
    _job(),
    Column("url", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", Instant),  # null once it is over, delivered or given up
    Index("ix_deliveries_next_at", "next_at"),
    Index("ix_deliveries_job_number", "job_number"),
)

metrics = Table(
    "metrics",
    metadata,
    _job(primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("value", Float),  # null when it was not finite
    sqlite_with_rowid=False,
)

checkpoints = Table(
    "checkpoints",
    metadata,
    _job(primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("folder", Text, nullable=False),
    Column("files", JSON, nullable=False),
    Column("card", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("damaged_at", Instant),
    Column("pruned_at", Instant),
)

aliases = Table(
    "aliases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("job_number", Number, ForeignKey("jobs.number"), nullable=False),  # a job that serves is not deleted
    Column("step", JSON, nullable=False),  # `latest`, `best` or a number
    Column("updated_at", Instant, nullable=False),
    Index("ix_aliases_job_number", "job_number"),
)

previews = Table(
    "previews",
    metadata,
    _job(primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("score", Float),  # the discriminator's mean estimate that the images are real
    Column("created_at", Instant, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("device", String(64), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("memory_used_bytes", BigInteger),  # of its device
    Column("memory_total_bytes", BigInteger),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("prefix", String(16), nullable=False),  # the secret's first characters, to tell keys apart by
    Column("digest", String(64), nullable=False, unique=True),  # the secret's SHA-256, in hexadecimal
    Column("scopes", JSON, nullable=False),
    Column("requests_per_minute", BigInteger, nullable=False),
    Column("images_per_day", BigInteger, nullable=False),
    Column("unfinished_jobs", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("key_id", String(36)),  # null: the operator, or anybody while no key was needed
    Column("action", String(64), nullable=False),
    Column("target", Text, nullable=False),  # a job's or key's id, a model's name
    Column("request_id", String(128)),
    sqlite_autoincrement=True,
)
