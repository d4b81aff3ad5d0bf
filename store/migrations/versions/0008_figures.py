"""Let the service be counted: waits in the index of the queue, what attempts fail of, the memory of devices."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MEMORY = ("memory_used_bytes", "memory_total_bytes")
QUEUE: list[str | sa.TextClause] = ["state", sa.text("priority DESC"), "number", "not_before"]


def upgrade() -> None:
    """Add the table and the columns, and exchange the index."""
    op.create_table(
        "failed_attempts",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code", name="pk_failed_attempts"),
    )
    for name in MEMORY:
        op.add_column("workers", sa.Column(name, sa.BigInteger(), nullable=True))
    op.drop_index("ix_jobs_queue", table_name="jobs")
    op.create_index("ix_jobs_queue", "jobs", [*QUEUE, "queued_at"], unique=False)


def downgrade() -> None:
    """Undo it, in reverse."""
    op.drop_index("ix_jobs_queue", table_name="jobs")
    op.create_index("ix_jobs_queue", "jobs", QUEUE, unique=False)
    for name in MEMORY:
        op.drop_column("workers", name)
    op.drop_table("failed_attempts")
