"""Declare what the store holds: one table a kind of record, the same on SQLite and PostgreSQL.

Money is integer fen. Days are dates; moments are instants of UTC. Rows of the ledger (claim, entry, posting, seal), of
the audit, alerts and steps of cases are only ever added: triggers refuse UPDATE and DELETE on them. What is known of
people is kept twice dated: `valid_from`/`valid_to` say when it held in the world (half-open; a missing end is still
running), `known_from`/`known_to` when the office believed it. A correction closes `known_to` and adds a row; nothing is
lost.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""Row numbers: SQLite counts only INTEGER keys up by itself."""


class Instant(TypeDecorator[datetime]):
    """Keep a moment in UTC: TIMESTAMPTZ on PostgreSQL, sortable ISO text to the microsecond on SQLite."""

    impl = sa.String(32)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Choose the type of the store."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.DateTime(timezone=True))
        return dialect.type_descriptor(sa.String(32))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Write a moment; it must say its zone."""
        if value is None:
            return None
        assert value.tzinfo is not None, "a moment without a zone"
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read a moment in UTC."""
        if value is None:
            return None
        return (value if isinstance(value, datetime) else datetime.fromisoformat(value)).astimezone(UTC)


def _key() -> sa.Column[int]:
    return sa.Column("id", Key, primary_key=True, autoincrement=True)


def _known() -> list[sa.Column[Any]]:
    """Give the columns that date a fact twice and say who brought it."""
    return [
        sa.Column("valid_from", sa.Date, nullable=False),
        sa.Column("valid_to", sa.Date),  # first day on which it no longer held
        sa.Column("known_from", Instant, nullable=False),
        sa.Column("known_to", Instant),
        sa.Column("recorded_by", sa.String(64), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),  # civil_affairs, rural_revitalisation, ..., office
        sa.Column("evidence", sa.Text),  # number of the decision or document
        sa.Column("import_id", Key, sa.ForeignKey("import_run.id")),
    ]


# --- Who works here -----------------------------------------------------------------------------------------------

user = sa.Table(
    "user_account", metadata, _key(),
    sa.Column("login", sa.String(64), nullable=False, unique=True),
    sa.Column("display_name", sa.String(128), nullable=False),
    sa.Column("role", sa.String(32), nullable=False),  # see store.roles
    sa.Column("place", sa.String(12), nullable=False, server_default=""),  # division code; sees what begins with it
    sa.Column("password_hash", sa.Text),  # argon2; empty for those who come by OIDC
    sa.Column("oidc_subject", sa.String(255), unique=True),  # issuer and subject
    sa.Column("language", sa.String(2), nullable=False, server_default="zh"),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("failed_logins", sa.Integer, nullable=False, server_default="0"),
    sa.Column("locked_until", Instant),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("password_changed_at", Instant),
)  # fmt: skip

session = sa.Table(
    "session", metadata, _key(),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),  # SHA-256 of what the client holds
    sa.Column("user_id", Key, sa.ForeignKey("user_account.id"), nullable=False),
    sa.Column("kind", sa.String(8), nullable=False),  # browser, token
    sa.Column("label", sa.String(64)),
    sa.Column("csrf_secret", sa.String(64)),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("last_seen_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("revoked_at", Instant),
)  # fmt: skip

# --- Register -----------------------------------------------------------------------------------------------------

import_run = sa.Table(
    "import_run", metadata, _key(),
    sa.Column("kind", sa.String(32), nullable=False),  # people, spells, enrolments, households, statement
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False),  # SHA-256 of the file as it came
    sa.Column("as_of", sa.Date),  # the day for which the department vouches
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("finished_at", Instant),
    sa.Column("recorded_by", sa.String(64), nullable=False),
    sa.Column("rows_in", sa.Integer, nullable=False, server_default="0"),
    sa.Column("rows_accepted", sa.Integer, nullable=False, server_default="0"),
    sa.Column("rows_rejected", sa.Integer, nullable=False, server_default="0"),
    sa.Column("rows_added", sa.Integer, nullable=False, server_default="0"),
    sa.Column("rows_changed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("rows_ended", sa.Integer, nullable=False, server_default="0"),
    sa.Column("rows_unchanged", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint("kind", "source", "content_hash"),
)  # fmt: skip

import_reject = sa.Table(
    "import_reject", metadata, _key(),
    sa.Column("import_id", Key, sa.ForeignKey("import_run.id"), nullable=False, index=True),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("reason", sa.String(64), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),  # holds no name and no identity number
    sa.Column("sealed_row", sa.LargeBinary, nullable=False),  # the row as it came, encrypted
)  # fmt: skip

import_difference = sa.Table(
    "import_difference", metadata, _key(),
    sa.Column("import_id", Key, sa.ForeignKey("import_run.id"), nullable=False, index=True),
    sa.Column("person_id", sa.String(64)),
    sa.Column("kind", sa.String(16), nullable=False),  # added, changed, ended, conflict
    sa.Column("field", sa.String(64), nullable=False),
    sa.Column("before", sa.Text),
    sa.Column("after", sa.Text),
)  # fmt: skip

person = sa.Table(
    "person", metadata,
    sa.Column("person_id", sa.String(64), primary_key=True),
    sa.Column("identity_cipher", sa.LargeBinary),  # AES-GCM; the key is never in the store
    sa.Column("identity_lookup", sa.String(64), unique=True),  # HMAC-SHA256 of the number as it is normalised
    sa.Column("name_cipher", sa.LargeBinary),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("erased_at", Instant),  # personal data deleted by rule; the ledger keeps its numbers
)  # fmt: skip

person_fact = sa.Table(
    "person_fact", metadata, _key(),
    sa.Column("person_id", sa.String(64), sa.ForeignKey("person.person_id"), nullable=False),
    sa.Column("birth_date", sa.Date),
    sa.Column("sex", sa.String(8)),
    sa.Column("residence", sa.String(8)),
    sa.Column("household_id", sa.String(64)),
    sa.Column("place", sa.String(12), nullable=False, server_default=""),  # township or village by its division code
    sa.Column("family_doctor", sa.Boolean),
    sa.Column("deceased_on", sa.Date),
    *_known(),
    sa.Index("ix_person_fact_current", "person_id", "known_to"),
    sa.Index("ix_person_fact_household", "household_id"),
    sa.Index("ix_person_fact_place", "place"),
)  # fmt: skip

household = sa.Table(
    "household_fact", metadata, _key(),
    sa.Column("household_id", sa.String(64), nullable=False, index=True),
    sa.Column("place", sa.String(12), nullable=False, server_default=""),
    sa.Column("size", sa.Integer),
    sa.Column("income_fen", sa.BigInteger),  # a year
    sa.Column("consumption_fen", sa.BigInteger),
    sa.Column("food_fen", sa.BigInteger),
    sa.Column("labour_capacity", sa.Boolean),
    *_known(),
)  # fmt: skip

enrolment = sa.Table(
    "enrolment", metadata, _key(),
    sa.Column("person_id", sa.String(64), sa.ForeignKey("person.person_id"), nullable=False),
    sa.Column("benefit_year", sa.Integer, nullable=False),
    sa.Column("scheme", sa.String(16), nullable=False),
    sa.Column("insured_class", sa.String(16)),
    sa.Column("continuous_years", sa.Integer),
    sa.Column("claim_free_years", sa.Integer),
    sa.Column("premium_fen", sa.BigInteger),  # what the person's class owes before subsidy
    sa.Column("subsidy_fen", sa.BigInteger),  # what assistance pays of it
    sa.Column("subsidy_group", sa.String(32)),  # the status it was paid for
    sa.Column("paid_on", sa.Date),
    *_known(),
    sa.Index("ix_enrolment_current", "person_id", "known_to"),
)  # fmt: skip

spell = sa.Table(
    "spell", metadata, _key(),
    sa.Column("person_id", sa.String(64), sa.ForeignKey("person.person_id"), nullable=False),
    sa.Column("group", sa.String(32), nullable=False),
    sa.Column("detail", sa.String(64)),
    sa.Column("recognised_by", sa.String(128)),
    sa.Column("recognised_on", sa.Date),
    *_known(),
    sa.Index("ix_spell_current", "person_id", "known_to"),
)  # fmt: skip

provider = sa.Table(
    "provider", metadata,
    sa.Column("provider_id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(128), nullable=False, server_default=""),
    sa.Column("level", sa.String(8)),
    sa.Column("place", sa.String(12), nullable=False, server_default=""),
)  # fmt: skip

# --- Ledger -------------------------------------------------------------------------------------------------------

account = sa.Table(
    # One chain of entries. Its row is the lock of a person-year (or of a household's year, where the policy counts by
    # household, or of a facility): who posts holds it.
    "account", metadata, _key(),
    sa.Column("kind", sa.String(12), nullable=False),  # person_year, home_year, facility
    sa.Column("owner", sa.String(64), nullable=False),  # person_id, household_id, or provider_id
    sa.Column("benefit_year", sa.Integer, nullable=False, server_default="0"),  # 0 for facilities
    sa.Column("length", sa.Integer, nullable=False, server_default="0"),
    sa.Column("head", sa.String(64), nullable=False),  # hash of the last entry
    sa.Column("policy", sa.String(128)),
    sa.Column("state", sa.Text),  # counters after the last entry: derived, verified against the entries
    sa.Column("last_order", sa.String(160)),  # (settled_date, start_date, claim_id) of the last claim that stands
    sa.UniqueConstraint("kind", "owner", "benefit_year"),
)  # fmt: skip

claim = sa.Table(
    "claim", metadata, _key(),
    sa.Column("claim_id", sa.String(64), nullable=False, unique=True),
    sa.Column("person_id", sa.String(64), nullable=False, index=True),
    sa.Column("account_id", Key, sa.ForeignKey("account.id"), nullable=False, index=True),
    sa.Column("provider_id", sa.String(64)),
    sa.Column("care_type", sa.String(24), nullable=False),
    sa.Column("facility_level", sa.String(8), nullable=False),
    sa.Column("area", sa.String(8), nullable=False),
    sa.Column("referral", sa.String(12), nullable=False),
    sa.Column("start_date", sa.Date, nullable=False),
    sa.Column("end_date", sa.Date, nullable=False),
    sa.Column("settled_date", sa.Date, nullable=False),
    sa.Column("continues", sa.String(64)),
    sa.Column("diagnosis", sa.String(32)),
    sa.Column("total_fen", sa.BigInteger, nullable=False),
    sa.Column("off_catalogue_fen", sa.BigInteger, nullable=False),
    sa.Column("over_limit_fen", sa.BigInteger, nullable=False),
    sa.Column("first_self_pay_fen", sa.BigInteger, nullable=False),
    sa.Column("in_scope_fen", sa.BigInteger, nullable=False),
    sa.Column("extra", sa.Text),  # further amounts that the policy reads, as JSON in fen
    sa.Column("paid_by", sa.String(8), nullable=False, server_default="facility"),  # who advanced: facility, person
    sa.Index("ix_claim_provider", "provider_id", "settled_date"),
)  # fmt: skip

entry = sa.Table(
    "entry", metadata, _key(),
    sa.Column("account_id", Key, sa.ForeignKey("account.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),  # 1, 2, ... along the chain
    sa.Column("kind", sa.String(16), nullable=False),  # see store.postings.KINDS
    sa.Column("claim_id", sa.String(64), index=True),
    sa.Column("cause", sa.Integer),  # number, in the same chain, of the entry because of which this one was made
    sa.Column("request_key", sa.String(128), unique=True),
    sa.Column("request_hash", sa.String(64)),  # of what was asked: the same key with another request is refused
    sa.Column("posted_at", Instant, nullable=False, index=True),
    sa.Column("posted_by", sa.String(64), nullable=False),
    sa.Column("settled_date", sa.Date, nullable=False),
    sa.Column("policy", sa.String(128), nullable=False),
    sa.Column("policy_hash", sa.String(64), nullable=False),
    sa.Column("engine", sa.String(32), nullable=False),
    sa.Column("input", sa.Text, nullable=False),  # canonical JSON: claim, facts and statuses, state before
    sa.Column("input_hash", sa.String(64), nullable=False),
    sa.Column("result", sa.Text, nullable=False),  # canonical JSON: payments, own part, deductible, state after
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.UniqueConstraint("account_id", "number"),
)  # fmt: skip

posting = sa.Table(
    # The postings of an entry come to zero. Parties and signs: see store.postings.
    "posting", metadata, _key(),
    sa.Column("entry_id", Key, sa.ForeignKey("entry.id"), nullable=False, index=True),
    sa.Column("party", sa.String(48), nullable=False),
    sa.Column("amount_fen", sa.BigInteger, nullable=False),
)  # fmt: skip

seal = sa.Table(
    # A seal says how long each changed chain was and with which head; seals form a chain of their own.
    "seal", metadata, _key(),
    sa.Column("sealed_at", Instant, nullable=False),
    sa.Column("accounts", sa.Integer, nullable=False),
    sa.Column("entries", sa.BigInteger, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False, unique=True),  # so that the chain of seals cannot fork
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
)  # fmt: skip

seal_head = sa.Table(
    "seal_head", metadata, _key(),
    sa.Column("seal_id", Key, sa.ForeignKey("seal.id"), nullable=False, index=True),
    sa.Column("account_id", Key, nullable=False, index=True),
    sa.Column("length", sa.Integer, nullable=False),
    sa.Column("head", sa.String(64), nullable=False),
)  # fmt: skip

arrear = sa.Table(
    # What a re-settlement found: owed to the person (应补, above zero) or owing (应退, below zero).
    "arrear", metadata, _key(),
    sa.Column("person_id", sa.String(64), nullable=False, index=True),
    sa.Column("benefit_year", sa.Integer, nullable=False),
    sa.Column("claim_id", sa.String(64), nullable=False),
    sa.Column("entry_id", Key, sa.ForeignKey("entry.id"), nullable=False),  # the difference entry
    sa.Column("amount_fen", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),  # found, notified, paid, returned, closed
    sa.Column("cause", sa.String(32), nullable=False),  # late_claim, reversal, backdated_status, correction
)  # fmt: skip

arrear_step = sa.Table(
    "arrear_step", metadata, _key(),
    sa.Column("arrear_id", Key, sa.ForeignKey("arrear.id"), nullable=False, index=True),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("on_date", sa.Date, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("by", sa.String(64), nullable=False),
    sa.Column("note", sa.Text),
    sa.Column("entry_id", Key, sa.ForeignKey("entry.id")),  # the payment's entry
)  # fmt: skip

statement = sa.Table(
    # What a facility advanced for one fund in one month. A name that begins with * is none: see store.statements.
    "statement", metadata, _key(),
    sa.Column("provider_id", sa.String(64), nullable=False),
    sa.Column("month", sa.String(7), nullable=False),  # YYYY-MM of posting
    sa.Column("fund", sa.String(48), nullable=False),
    sa.Column("claims", sa.Integer, nullable=False),
    sa.Column("reversals", sa.Integer, nullable=False),
    sa.Column("amount_fen", sa.BigInteger, nullable=False),  # advanced, less what was taken back
    sa.Column("differences", sa.Integer, nullable=False),
    sa.Column("difference_fen", sa.BigInteger, nullable=False),  # moved between fund and person
    sa.Column("state", sa.String(12), nullable=False),  # drawn, agreed, cleared
    sa.Column("drawn_at", Instant, nullable=False),
    sa.Column("drawn_by", sa.String(64), nullable=False),
    sa.Column("agreed_at", Instant),
    sa.Column("agreed_by", sa.String(64)),
    sa.Column("cleared_at", Instant),
    sa.Column("cleared_by", sa.String(64)),
    sa.Column("cleared_entry", Key, sa.ForeignKey("entry.id")),
    sa.Column("note", sa.Text),
    sa.UniqueConstraint("provider_id", "month", "fund"),
)  # fmt: skip

statement_line = sa.Table(
    # On which statement an entry stands; the key lets it stand on one only.
    "statement_line", metadata,
    sa.Column("entry_id", Key, sa.ForeignKey("entry.id"), primary_key=True, autoincrement=False),
    sa.Column("provider_id", sa.String(64), nullable=False),
    sa.Column("month", sa.String(7), nullable=False),
    sa.Index("ix_statement_line_statement", "provider_id", "month"),
)  # fmt: skip

reconciliation = sa.Table(
    # A hospital's file of a month (an import_run) and what it came to beside the ledger.
    "reconciliation", metadata,
    sa.Column("import_id", Key, sa.ForeignKey("import_run.id"), primary_key=True, autoincrement=False),
    sa.Column("provider_id", sa.String(64), nullable=False),
    sa.Column("month", sa.String(7), nullable=False),
    sa.Column("matched", sa.Integer, nullable=False),
    sa.Column("ours_fen", sa.BigInteger, nullable=False),
    sa.Column("theirs_fen", sa.BigInteger, nullable=False),
    sa.Index("ix_reconciliation_statement", "provider_id", "month"),
)  # fmt: skip

reconciliation_item = sa.Table(
    # One line in which the office's books and a hospital's file differ.
    "reconciliation_item", metadata, _key(),
    sa.Column("import_id", Key, sa.ForeignKey("import_run.id"), nullable=False, index=True),
    sa.Column("provider_id", sa.String(64), nullable=False),
    sa.Column("month", sa.String(7), nullable=False),
    sa.Column("claim_id", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),  # see store.reconciliation.KINDS
    sa.Column("detail", sa.Text),  # what differs besides the amount of the funds
    sa.Column("ours_fen", sa.BigInteger),
    sa.Column("theirs_fen", sa.BigInteger),
    sa.Column("state", sa.String(12), nullable=False),  # open, resolved
    sa.Column("resolution", sa.String(24)),  # see store.reconciliation.RESOLUTIONS
    sa.Column("resolved_by", sa.String(64)),
    sa.Column("resolved_at", Instant),
    sa.Column("entry_id", Key, sa.ForeignKey("entry.id")),
    sa.Column("note", sa.Text),
)  # fmt: skip

# --- Watch ----------------------------------------------------------------------------------------------------------

screening = sa.Table(
    # One run of the screening: over the whole register (office), or over some households after settlements (after).
    "watch_screening", metadata, _key(),
    sa.Column("kind", sa.String(8), nullable=False),  # office, after
    sa.Column("year", sa.Integer, nullable=False),
    sa.Column("as_of", sa.Date, nullable=False),
    sa.Column("place", sa.String(64), nullable=False),  # of the rules
    sa.Column("rules_hash", sa.String(64), nullable=False),
    sa.Column("by", sa.String(64), nullable=False),
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("finished_at", Instant),  # empty: broken off, to be run again
    sa.Column("households", sa.Integer, nullable=False),
    sa.Column("alerts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("suppressed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("cases", sa.Integer, nullable=False, server_default="0"),  # opened, or opened again
    sa.Column("counts", sa.Text, nullable=False),  # JSON: where settlements went, alerts by signal
    sa.Column("standing", sa.Text),  # JSON: what one household needs to be screened as among all
    sa.Index("ix_watch_screening_year", "year", "kind"),
)  # fmt: skip

watch_case = sa.Table(
    # One household that was found, through all its rounds. Its row is the lock of its events.
    "watch_case", metadata,
    sa.Column("case_id", sa.String(64), primary_key=True),
    sa.Column("household_id", sa.String(64), nullable=False, unique=True),
    sa.Column("place", sa.String(12), nullable=False, server_default=""),
    sa.Column("state", sa.String(12), nullable=False),  # what follows is derived from the events, for lists
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("category", sa.String(12)),
    sa.Column("found_on", sa.Date, nullable=False),  # of the present round
    sa.Column("changed_on", sa.Date, nullable=False),  # day of the last event
    sa.Column("due_on", sa.Date),  # what is due first, by the rules of the last event's day
    sa.Column("due_for", sa.String(16)),  # visit, decision, help
    sa.Column("length", sa.Integer, nullable=False),
    sa.Column("head", sa.String(64), nullable=False),  # hash of the last event
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("changed_at", Instant, nullable=False),
    sa.Column("texts_gone_at", Instant),  # free texts deleted by rule; the events stay
    sa.Index("ix_watch_case_due", "state", "due_on"),
    sa.Index("ix_watch_case_place", "place"),
)  # fmt: skip

case_event = sa.Table(
    "watch_case_event", metadata, _key(),
    sa.Column("case_id", sa.String(64), sa.ForeignKey("watch_case.case_id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),  # 1, 2, ... of the case
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("actor", sa.String(64), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("said", sa.Text, nullable=False),  # canonical JSON of the event without its free texts
    sa.Column("sealed_hash", sa.String(64)),  # SHA-256 of the free texts with their salt
    sa.Column("rules", sa.String(64), nullable=False),  # the place by whose rules it was taken in
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.UniqueConstraint("case_id", "number"),
)  # fmt: skip

case_text = sa.Table(
    # What people wrote into an event, enciphered: a reason may tell of an illness. Deleted by rule, unlike the event.
    "watch_case_text", metadata,
    sa.Column("event_id", Key, sa.ForeignKey("watch_case_event.id"), primary_key=True, autoincrement=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)  # fmt: skip

alert = sa.Table(
    "watch_alert", metadata, _key(),
    sa.Column("screening_id", Key, sa.ForeignKey("watch_screening.id"), nullable=False, index=True),
    sa.Column("case_id", sa.String(64), sa.ForeignKey("watch_case.case_id"), index=True),
    sa.Column("household_id", sa.String(64), nullable=False),
    sa.Column("person_id", sa.String(64)),
    sa.Column("place", sa.String(12), nullable=False, server_default=""),  # of the household, when it was raised
    sa.Column("signal", sa.String(32), nullable=False),
    sa.Column("kind", sa.String(24), nullable=False),
    sa.Column("as_of", sa.Date, nullable=False),
    sa.Column("year", sa.Integer, nullable=False),
    sa.Column("urgency", sa.String(8), nullable=False),
    sa.Column("suppressed_until", sa.Date, nullable=False),
    sa.Column("detail", sa.Text, nullable=False, server_default=""),
    sa.Column("unit", sa.String(8), nullable=False),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("threshold", sa.Double),
    sa.Column("excess", sa.Double),
    sa.Column("spent_fen", sa.BigInteger),
    sa.Column("base_fen", sa.BigInteger),
    sa.Column("allowed_fen", sa.BigInteger),
    sa.Column("rule", sa.String(64), nullable=False),
    sa.Column("rule_version", sa.Date, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Index("ix_watch_alert_household", "household_id", "signal"),
    sa.Index("ix_watch_alert_place", "place", "id"),
)  # fmt: skip

watch_pending = sa.Table(
    # Entries of the ledger whose households wait to be screened. An entry never goes away, so that no key is needed.
    "watch_pending", metadata,
    sa.Column("entry_id", Key, primary_key=True, autoincrement=False),
)  # fmt: skip

# --- Two pairs of eyes, who looked, what ran ------------------------------------------------------------------------

proposal = sa.Table(
    "proposal", metadata, _key(),
    sa.Column("kind", sa.String(24), nullable=False),  # reversal, status_change, exit, adjustment
    sa.Column("person_id", sa.String(64)),
    sa.Column("place", sa.String(12), nullable=False, server_default=""),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("proposed_by", sa.String(64), nullable=False),
    sa.Column("proposed_at", Instant, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),  # open, approved, refused, withdrawn
    sa.Column("decided_by", sa.String(64)),
    sa.Column("decided_at", Instant),
    sa.Column("note", sa.Text),
    sa.Column("outcome", sa.Text),
)  # fmt: skip

audit = sa.Table(
    "audit", metadata, _key(),
    sa.Column("at", Instant, nullable=False, index=True),
    sa.Column("by", sa.String(64), nullable=False, index=True),
    sa.Column("action", sa.String(48), nullable=False),
    sa.Column("person_id", sa.String(64), index=True),
    sa.Column("detail", sa.Text),  # holds no name, identity number or diagnosis
    sa.Column("request_id", sa.String(64)),
)  # fmt: skip

job = sa.Table(
    "job", metadata, _key(),
    sa.Column("kind", sa.String(24), nullable=False),  # simulate, measure, settle, import
    sa.Column("parameters", sa.Text, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),  # waiting, running, done, failed, cancelled
    sa.Column("progress", sa.Integer, nullable=False, server_default="0"),  # per cent
    sa.Column("message", sa.Text),
    sa.Column("result", sa.Text),
    sa.Column("folder", sa.Text),
    sa.Column("owner", sa.String(64)),  # the server that runs it
    sa.Column("seen_at", Instant),  # when that server was last seen at it
    sa.Column("created_by", sa.String(64), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("finished_at", Instant),
)  # fmt: skip

setting = sa.Table(
    # What the office decided once: its place, its policy, limits of approval, terms of retention.
    "setting", metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("changed_by", sa.String(64), nullable=False),
    sa.Column("changed_at", Instant, nullable=False),
)  # fmt: skip

# --- Lists exchanged with other departments (store.exchange) --------------------------------------------------------

exchange = sa.Table(
    # A list that was sent out: to whom, what for, on which ground, with which columns, and the hash of the file.
    "watch_exchange", metadata, _key(),
    sa.Column("department", sa.String(64), nullable=False),
    sa.Column("purpose", sa.String(32), nullable=False),  # see store/exchange.toml
    sa.Column("place", sa.String(12), nullable=False, server_default=""),
    sa.Column("as_of", sa.Date, nullable=False),
    sa.Column("columns", sa.Text, nullable=False),  # JSON list, in the order of the file
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False),  # SHA-256 of the file as it was sent
    sa.Column("manifest", sa.Text, nullable=False),  # canonical JSON; its own hash is its last key
    sa.Column("keep_until", sa.Date, nullable=False),  # the last day on which either side may keep the rows
    sa.Column("sent_by", sa.String(64), nullable=False),
    sa.Column("sent_at", Instant, nullable=False),
    sa.Index("ix_watch_exchange_department", "department", "purpose"),
)  # fmt: skip

exchange_row = sa.Table(
    "watch_exchange_row", metadata, _key(),
    sa.Column("exchange_id", Key, sa.ForeignKey("watch_exchange.id"), nullable=False),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("reference", sa.String(32), nullable=False, unique=True),  # what an answer names the row by; says nothing
    sa.Column("household_id", sa.String(64), index=True),
    sa.Column("person_id", sa.String(64), index=True),
    sa.Column("sealed_row", sa.LargeBinary),  # the row as it was sent, enciphered; empty after its term
    sa.UniqueConstraint("exchange_id", "row"),
)  # fmt: skip

exchange_answer = sa.Table(
    # A file that came back.
    "watch_exchange_answer", metadata, _key(),
    sa.Column("exchange_id", Key, sa.ForeignKey("watch_exchange.id"), nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False),
    sa.Column("as_of", sa.Date, nullable=False),
    sa.Column("rows_in", sa.Integer, nullable=False),
    sa.Column("rows_added", sa.Integer, nullable=False),
    sa.Column("rows_changed", sa.Integer, nullable=False),
    sa.Column("rows_unchanged", sa.Integer, nullable=False),
    sa.Column("rows_rejected", sa.Integer, nullable=False),
    sa.Column("received_by", sa.String(64), nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    sa.UniqueConstraint("exchange_id", "content_hash"),
)  # fmt: skip

exchange_answer_row = sa.Table(
    "watch_exchange_answer_row", metadata, _key(),
    sa.Column("answer_id", Key, sa.ForeignKey("watch_exchange_answer.id"), nullable=False, index=True),
    sa.Column("row", sa.Integer, nullable=False),  # as a person counts who opens the file
    sa.Column("sent_row_id", Key, sa.ForeignKey("watch_exchange_row.id"), index=True),  # empty: answers no row
    sa.Column("outcome", sa.String(12), nullable=False),  # added, changed, unchanged, rejected
    sa.Column("reason", sa.String(64)),
    sa.Column("detail", sa.Text),  # holds no name and no identity number
    sa.Column("sealed_row", sa.LargeBinary),  # what was answered, enciphered; empty after its term
)  # fmt: skip

APPEND_ONLY = (
    "claim", "entry", "posting", "seal", "seal_head", "arrear_step", "statement_line", "audit", "watch_exchange",
    "watch_exchange_answer", "watch_alert", "watch_case_event",
)  # fmt: skip
"""Tables in which nothing is ever changed or deleted; triggers see to it."""

ENCIPHERED = (
    (person, "identity_cipher"),
    (person, "name_cipher"),
    (import_reject, "sealed_row"),
    (exchange_row, "sealed_row"),
    (exchange_answer_row, "sealed_row"),
    (case_text, "sealed"),
)
"""Columns that hold what `Keyring.encrypt` made; a rotation of keys writes them anew."""
