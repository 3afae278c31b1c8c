"""Add what watching over households needs: screenings, alerts, cases, and lists exchanged with other departments.

Nothing of what is there changes. Households whose claims were settled before are found by the first screening of the
office; only entries from now on are queued.
"""

from __future__ import annotations

from alembic import op

from medfloor.store.guards import guard
from medfloor.store.schema import metadata

revision = "0002"
down_revision = "0001"

TABLES = (
    "watch_screening", "watch_case", "watch_case_event", "watch_case_text", "watch_alert", "watch_pending",
    "watch_exchange", "watch_exchange_row", "watch_exchange_answer", "watch_exchange_answer_row",
)  # fmt: skip
GUARDED = ("watch_alert", "watch_case_event", "watch_exchange", "watch_exchange_answer")


def upgrade() -> None:
    """Make tables and triggers."""
    connection = op.get_bind()
    metadata.create_all(connection, tables=[metadata.tables[name] for name in TABLES], checkfirst=False)
    guard(connection, GUARDED)


def downgrade() -> None:
    """Take the tables away, with what they hold."""
    metadata.drop_all(op.get_bind(), tables=[metadata.tables[name] for name in TABLES])
