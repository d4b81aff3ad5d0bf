"""Remember which names serve."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.BigInteger()  # milliseconds since 1970, UTC


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "aliases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("job_number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("step", sa.JSON(), nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["job_number"], ["jobs.number"], name="fk_aliases_job_number"),
        sa.PrimaryKeyConstraint("name", name="pk_aliases"),
    )
    op.create_index("ix_aliases_job_number", "aliases", ["job_number"], unique=False)


def downgrade() -> None:
    """Drop it."""
    op.drop_table("aliases")
