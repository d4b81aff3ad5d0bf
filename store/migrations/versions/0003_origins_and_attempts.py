"""Remember what a job begins with, and each attempt at it with what its process said."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.BigInteger()  # milliseconds since 1970, UTC


def upgrade() -> None:
    """Add the column and the table; attempts made before are not told of."""
    op.add_column("jobs", sa.Column("origin", sa.JSON(), nullable=True))
    op.create_table(
        "attempts",
        sa.Column("job_number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("token", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.String(length=100), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=True),
        sa.Column("log", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_number"], ["jobs.number"], name="fk_attempts_job_number", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_number", "token", name="pk_attempts"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("attempts")
    op.drop_column("jobs", "origin")
