"""Remember what is to be told to whom."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.BigInteger()  # milliseconds since 1970, UTC


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("job_number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["job_number"], ["jobs.number"], name="fk_deliveries_job_number", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_job_number", "deliveries", ["job_number"], unique=False)
    op.create_index("ix_deliveries_next_at", "deliveries", ["next_at"], unique=False)


def downgrade() -> None:
    """Drop it."""
    op.drop_table("deliveries")
