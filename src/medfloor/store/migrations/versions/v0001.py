"""Make the first tables, and the triggers that let rows of the ledger and of the audit only be added.

Offices have stores of this version: what it makes is frozen. A later version that changes one of these tables must
write here what the table was before; `tests/store/test_migrate.py` holds what is made against what was made then.
"""

from __future__ import annotations

from alembic import op

from medfloor.store.guards import drop_guard, guard, make_guard
from medfloor.store.schema import metadata

revision = "0001"
down_revision = None

TABLES = (
    "user_account", "session", "import_run", "import_reject", "import_difference", "person", "person_fact",
    "household_fact", "enrolment", "spell", "provider", "account", "claim", "entry", "posting", "seal", "seal_head",
    "arrear", "arrear_step", "statement", "statement_line", "reconciliation", "reconciliation_item", "proposal",
    "audit", "job", "setting",
)  # fmt: skip
GUARDED = ("claim", "entry", "posting", "seal", "seal_head", "arrear_step", "statement_line", "audit")


def upgrade() -> None:
    """Make tables and triggers."""
    connection = op.get_bind()
    metadata.create_all(connection, tables=[metadata.tables[name] for name in TABLES], checkfirst=False)
    make_guard(connection)
    guard(connection, GUARDED)


def downgrade() -> None:
    """Take everything away."""
    connection = op.get_bind()
    metadata.drop_all(connection, tables=[metadata.tables[name] for name in TABLES])
    drop_guard(connection)
