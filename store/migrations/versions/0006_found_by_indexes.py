"""Let a claim, a page of jobs and the heirs of a job be found by indexes, however many jobs there are."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

REPLACED = {
    "ix_jobs_state_priority_number": ["state", "priority", "number"],
    "ix_jobs_family_number": ["family", "number"],
    "ix_jobs_dataset_number": ["dataset", "number"],
    "ix_jobs_name_number": ["name", "number"],
}
ADDED: dict[str, list[str | sa.TextClause]] = {
    "ix_jobs_queue": ["state", sa.text("priority DESC"), "number", "not_before"],
    "ix_jobs_state": ["state", "number", "family", "dataset", "name"],
    "ix_jobs_family": ["family", "number", "state", "dataset", "name"],
    "ix_jobs_dataset": ["dataset", "number", "state", "family", "name"],
    "ix_jobs_name": ["name", "number", "state", "family", "dataset"],
    "ix_jobs_origin_job_id": ["origin_job_id"],
}


def upgrade() -> None:
    """Add the column, filled from the JSON beside it, and exchange the indexes."""
    op.add_column("jobs", sa.Column("origin_job_id", sa.String(length=36), nullable=True))
    jobs = sa.table("jobs", sa.column("origin", sa.JSON()), sa.column("origin_job_id", sa.String()))
    origin_job_id = jobs.c.origin["job"].as_string()
    op.execute(sa.update(jobs).where(origin_job_id.is_not(None)).values(origin_job_id=origin_job_id))
    for name in REPLACED:
        op.drop_index(name, table_name="jobs")
    for name, columns in ADDED.items():
        op.create_index(name, "jobs", columns, unique=False)
    op.create_index("ix_idempotency_keys_job_number", "idempotency_keys", ["job_number"], unique=False)


def downgrade() -> None:
    """Undo it, the indexes first."""
    op.drop_index("ix_idempotency_keys_job_number", table_name="idempotency_keys")
    for name in ADDED:
        op.drop_index(name, table_name="jobs")
    for name, columns in REPLACED.items():
        op.create_index(name, "jobs", columns, unique=False)
    op.drop_column("jobs", "origin_job_id")
