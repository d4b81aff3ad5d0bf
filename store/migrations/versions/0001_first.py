"""Create every table of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.BigInteger()  # milliseconds since 1970, UTC


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "jobs",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("family", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=64), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("numerics", sa.JSON(), nullable=True),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("total_steps", sa.BigInteger(), nullable=False),
        sa.Column("images_per_second", sa.Float(), nullable=True),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.String(length=100), nullable=True),
        sa.Column("lease_expires_at", INSTANT, nullable=True),
        sa.Column("not_before", INSTANT, nullable=True),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("queued_at", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_jobs"),
        sa.UniqueConstraint("id", name="uq_jobs_id"),
    )
    op.create_index("ix_jobs_dataset_number", "jobs", ["dataset", "number"], unique=False)
    op.create_index("ix_jobs_family_number", "jobs", ["family", "number"], unique=False)
    op.create_index("ix_jobs_name_number", "jobs", ["name", "number"], unique=False)
    op.create_index("ix_jobs_state_priority_number", "jobs", ["state", "priority", "number"], unique=False)
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("job_number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("damaged_at", INSTANT, nullable=True),
        sa.Column("pruned_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["job_number"], ["jobs.number"], name="fk_checkpoints_job_number", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_number", "step", name="pk_checkpoints"),
    )
    op.create_table(
        "events",
        sa.Column("seq", NUMBER, autoincrement=True, nullable=False),
        sa.Column("job_number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["job_number"], ["jobs.number"], name="fk_events_job_number", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_job_number_seq", "events", ["job_number", "seq"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("job_number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("body_digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["job_number"], ["jobs.number"], name="fk_idempotency_keys_job_number", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name="pk_idempotency_keys"),
    )
    op.create_table(
        "metrics",
        sa.Column("job_number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["job_number"], ["jobs.number"], name="fk_metrics_job_number", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_number", "name", "step", name="pk_metrics"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "previews",
        sa.Column("job_number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["job_number"], ["jobs.number"], name="fk_previews_job_number", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_number", "step", name="pk_previews"),
    )


def downgrade() -> None:
    """Drop them, the dependent ones first."""
    op.drop_table("previews")
    op.drop_table("metrics")
    op.drop_table("idempotency_keys")
    op.drop_index("ix_events_job_number_seq", table_name="events")
    op.drop_table("events")
    op.drop_table("checkpoints")
    op.drop_table("workers")
    op.drop_index("ix_jobs_state_priority_number", table_name="jobs")
    op.drop_index("ix_jobs_name_number", table_name="jobs")
    op.drop_index("ix_jobs_family_number", table_name="jobs")
    op.drop_index("ix_jobs_dataset_number", table_name="jobs")
    op.drop_table("jobs")
