"""Say who may do what: roles, what each may do, and which places one sees."""

from __future__ import annotations

from dataclasses import dataclass

from medfloor.errors import AccessError

PERMISSIONS: dict[str, str] = {
    "read_person": "see people, households and their years, with identity numbers masked",
    "reveal_identity": "see names and identity numbers unmasked",
    "write_register": "record, correct and end facts, enrolments and statuses",
    "import_register": "import files of other departments and see what was refused",
    "read_settlements": "see claims, entries and explanations",
    "settle": "pre-settle and settle claims",
    "reverse": "take settlements back, below the limit of four eyes",
    "correct": "correct a settled claim",
    "read_proposals": "see what was proposed and decided",
    "propose": "propose what takes two pairs of eyes",
    "decide_reversal": "decide on a proposed reversal",
    "decide_status": "decide on a proposed change of status or exit",
    "decide_adjustment": "sign a proposed adjustment of next year's benefits",
    "read_arrears": "see what is owed and owing",
    "handle_arrears": "notify, pay, collect and close arrears",
    "read_statements": "see monthly statements and what was reconciled",
    "draw_statements": "draw statements and agree them with a facility",
    "clear_statements": "clear agreed statements",
    "reconcile": "compare with a hospital's file and resolve what differs",
    "read_policies": "list, show, check and compare policies",
    "run_jobs": "simulate and measure in the background",
    "export_deidentified": "take out tables without names, numbers and small cells",
    "verify_ledger": "verify the ledger",
    "seal_ledger": "seal the ledger",
    "screen": "screen the register for households at risk",
    "read_alerts": "see alerts: which household, why, how urgent",
    "read_cases": "see cases of households at risk, with their steps",
    "read_case_counts": "see how many alerts and cases there are, and how many are late",
    "find_case": "open the case of a household that was found, or found again",
    "write_case": "record visits, help, objections, answers and changes of risk",
    "publish_case": "publish a case, and print its notice",
    "decide_case": "recognise, remove or refuse a case that somebody else proposed",
    "exchange_lists": "send lists of people to other departments and take their answers in",
    "read_exchanges": "see which lists were sent to whom, on which ground, and what was answered",
    "read_audit": "see who looked at what and did what",
    "read_users": "see who works here",
    "manage_users": "add, disable and change users and end their sessions",
    "read_settings": "see what the office decided once",
    "manage_settings": "change what the office decided once",
    "delete_by_rule": "delete personal data whose term has run out",
}
"""Permission -> what it lets one do."""

_READS = frozenset(name for name in PERMISSIONS if name.startswith("read_"))

ROLES: dict[str, frozenset[str]] = {
    "county_clerk": frozenset({
        "read_person", "reveal_identity", "write_register", "import_register", "read_settlements", "settle", "reverse",
        "correct", "read_proposals", "propose", "read_arrears", "read_statements", "reconcile", "read_policies",
        "read_settings", "read_cases", "read_case_counts", "find_case",
    }),
    "assistance_officer": frozenset({
        "read_person", "reveal_identity", "write_register", "import_register", "read_settlements", "read_proposals",
        "propose", "decide_status", "read_arrears", "handle_arrears", "read_policies", "run_jobs", "read_settings",
        "screen", "read_alerts", "read_cases", "read_case_counts", "find_case", "write_case", "publish_case",
        "decide_case", "exchange_lists", "read_exchanges",
    }),
    "fund_supervisor": frozenset({
        "read_person", "read_settlements", "reverse", "read_proposals", "propose", "decide_reversal",
        "decide_adjustment", "read_arrears", "handle_arrears", "read_statements", "draw_statements", "clear_statements",
        "reconcile", "read_policies",
        "run_jobs", "export_deidentified", "verify_ledger", "seal_ledger", "read_settings", "read_case_counts",
    }),
    "analyst": frozenset({"read_policies", "run_jobs", "export_deidentified", "read_case_counts"}),
    "auditor": _READS | {"reveal_identity", "verify_ledger"},
    "administrator": frozenset({
        "read_users", "manage_users", "read_settings", "manage_settings", "read_audit", "read_policies",
        "verify_ledger", "delete_by_rule",
    }),
}  # fmt: skip
"""Role -> its permissions. Who manages users sees no person, and who decides a reversal settles nothing.

A case is found by clerks and officers, followed by officers, and decided by another officer than who verified or
published it: `watch.cases` compares the logins, whatever the role."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Be someone who does something: login, role, place (a division code; empty for all) and language.

    >>> Actor("clerk1", "county_clerk", "150981").language
    'zh'
    """

    login: str
    role: str
    place: str = ""
    language: str = "zh"


def may(actor: Actor, permission: str) -> bool:
    """Say whether an actor's role has a permission. A role that is not known has none; a permission must be known.

    >>> may(Actor("a", "analyst"), "run_jobs"), may(Actor("a", "analyst"), "read_person")
    (True, False)
    """
    assert permission in PERMISSIONS, f"there is no permission {permission}"
    return permission in ROLES.get(actor.role, frozenset())


def require(actor: Actor, permission: str) -> None:
    """Go on only if the actor has the permission. Raises AccessError (`forbidden`)."""
    if not may(actor, permission):
        raise AccessError(
            "forbidden", f"the role {actor.role} may not {PERMISSIONS[permission]}; ask someone whose role may"
        )


def sees(actor: Actor, place: str) -> bool:
    """Say whether an actor sees what belongs to a place: everything that begins with the actor's own division code.

    The zeros that end a code of a province, city or county count as the whole of it. What has no place is seen only by
    those who see every place.

    >>> clerk = Actor("clerk1", "county_clerk", "150981")
    >>> sees(clerk, "150981102"), sees(clerk, "150982"), sees(clerk, ""), sees(Actor("a", "auditor"), "")
    (True, False, False, True)
    >>> sees(Actor("c", "county_clerk", "150900"), "150981102")
    True
    """
    return place.startswith(place_prefix(actor.place))


def place_prefix(place: str) -> str:
    """Give what every division code within a place begins with.

    >>> place_prefix("150000"), place_prefix("150981"), place_prefix("150981000000"), place_prefix("150981102000")
    ('15', '150981', '150981', '150981102')
    """
    code = place
    for length in (12, 9):
        if len(code) == length and code.endswith("000"):
            code = code[:-3]
    for length in (6, 4):
        if len(code) == length and code.endswith("00"):
            code = code[:-2]
    return code
