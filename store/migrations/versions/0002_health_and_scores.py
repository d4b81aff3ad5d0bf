"""Remember how healthy a job is, and what its discriminator holds of a preview."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was there before has no such judgment."""
    op.add_column("jobs", sa.Column("health", sa.JSON(), nullable=True))
    op.add_column("previews", sa.Column("score", sa.Float(), nullable=True))


def downgrade() -> None:
    """Drop them. Plain columns, so that SQLite rebuilds no table that others point at."""
    op.drop_column("previews", "score")
    op.drop_column("jobs", "health")
