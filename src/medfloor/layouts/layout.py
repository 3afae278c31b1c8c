"""Read layouts: which name a survey's files give to each of our columns in each wave, and who says so.

A layout is a TOML file of this folder, or one of the user's own in the same form. Surveys rename and renumber their
questions from wave to wave, so that a name holds for its wave only and is never tried in another.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from medfloor.errors import InputError

Kind = Literal["id", "number", "money", "code", "yes_no", "sex", "residence", "rural", "slots"]
Part = Literal["household", "person", "roster", "crossyear"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, slots=True)
class Variable:
    """Be one of our columns: its names by wave, how its answers are read, and where the names come from.

    `waves` gives the names in order of preference; `child` those of the children's file, where they differ;
    `otherwise` a second question that is asked of those whom the first is not. `signed` columns can truly be
    negative; `partial` ones are by design not in every wave. `zero` lists codes that mean zero, `missing` further codes
    that mean missing. `unverified` names the waves whose name no source was seen for, `words_only` those whose codes
    mean something else, so that only labels are read.
    """

    name: str
    kind: Kind
    sources: str = ""
    note: str = ""
    waves: dict[int, tuple[str, ...]] = field(default_factory=dict)
    child: dict[int, tuple[str, ...]] = field(default_factory=dict)
    otherwise: dict[int, tuple[str, ...]] = field(default_factory=dict)
    signed: bool = False
    partial: bool = False
    zero: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    unverified: tuple[int, ...] = ()
    words_only: tuple[int, ...] = ()

    def names(self, wave: int, *, child: bool = False) -> tuple[str, ...]:
        """List the names of this column in a wave, the preferred first; those of the children's file before others."""
        return (self.child.get(wave, ()) if child else ()) + self.waves.get(wave, ())


@dataclass(frozen=True, slots=True)
class InsuranceKind:
    """Be one kind of health insurance: its code, and words that its label in a file may have."""

    kind: str
    code: int
    trust: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Be the layout of one survey's files over its waves."""

    survey: str
    waves: tuple[int, ...]
    earlier: str
    sources: dict[str, str]
    missing: dict[int, str]
    files: dict[str, dict[int, tuple[str, ...]]]
    household: tuple[Variable, ...]
    person: tuple[Variable, ...]
    roster: tuple[Variable, ...]
    crossyear: tuple[Variable, ...]
    insurance: tuple[InsuranceKind, ...]

    def part(self, part: Part) -> tuple[Variable, ...]:
        """Give the columns of one part: household, person, roster or crossyear."""
        parts: dict[str, tuple[Variable, ...]] = {
            "household": self.household,
            "person": self.person,
            "roster": self.roster,
            "crossyear": self.crossyear,
        }
        return parts[part]

    def variable(self, part: Part, name: str) -> Variable:
        """Find one of our columns."""
        return next(variable for variable in self.part(part) if variable.name == name)


@functools.cache
def shipped_layout(name: str) -> Layout:
    """Give a layout that medfloor ships, by its name.

    >>> shipped_layout("cfps").variable("household", "oop").names(2012)
    ('fp509',)
    """
    return read_layout(Path(__file__).with_name(f"{name}.toml"))


def read_layout(path: str | Path) -> Layout:
    """Read a layout from a TOML file in the form of the shipped ones.

    A file with `extends = "cfps"` needs only what differs: names of a wave replace those of the shipped layout in that
    wave, other waves stay, and new columns are added. Their source is `own` unless the file says one.

    Raises InputError: file_not_found, bad_layout (what is wrong, and where).
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("file_not_found", f"{path} is not there. Give the path of the layout.")
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
        if "extends" in told:
            return _extended(shipped_layout(_known(told["extends"])), told)
        return Layout(
            survey=str(told["survey"]),
            waves=tuple(int(wave) for wave in told["waves"]),
            earlier=str(told.get("earlier", "")),
            sources={str(letter): str(words) for letter, words in told.get("sources", {}).items()},
            missing={int(code): str(words) for code, words in told.get("missing", {}).items()},
            files={part: _by_wave(kinds) for part, kinds in told.get("files", {}).items()},
            household=_variables(told.get("household", [])),
            person=_variables(told.get("person", [])),
            roster=_variables(told.get("roster", [])),
            crossyear=_variables(told.get("crossyear", [])),
            insurance=tuple(
                InsuranceKind(one["kind"], int(one["code"]), one["trust"], tuple(one["words"]))
                for one in told.get("insurance", [])
            ),
        )
    except KeyError as error:
        raise _bad(path, f"{error} is missing") from None
    except (UnicodeDecodeError, TypeError, ValueError, AttributeError) as error:
        raise _bad(path, " ".join(str(error).split())[:200]) from None


def _known(name: str) -> str:
    there = sorted(file.stem for file in Path(__file__).parent.glob("*.toml"))
    if name not in there:
        raise ValueError(f"it extends {name!r}; there are {', '.join(there)}")
    return name


def _extended(shipped: Layout, told: dict[str, Any]) -> Layout:
    changed: dict[str, Any] = {}
    for part in PARTS:
        columns = {variable.name: variable for variable in shipped.part(part)}
        for own in _variables(told.get(part, [])):
            before = columns.get(own.name)
            sources = own.sources or "own"
            if before is None:
                columns[own.name] = replace(own, sources=sources)
                continue
            columns[own.name] = replace(
                own,
                sources=f"{before.sources},{sources}",
                note=own.note or before.note,
                waves=before.waves | own.waves,
                child=before.child | own.child,
                otherwise={wave: names for wave, names in before.otherwise.items() if wave not in own.waves}
                | own.otherwise,
                signed=own.signed or before.signed,
                zero=own.zero or before.zero,
                missing=own.missing or before.missing,
                unverified=tuple(wave for wave in before.unverified if wave not in own.waves) + own.unverified,
                words_only=before.words_only,
            )
        changed[part] = tuple(columns.values())
    return replace(shipped, **changed)


def _variables(listed: list[dict[str, Any]]) -> tuple[Variable, ...]:
    made = []
    for one in listed:
        if one["kind"] not in get_args(Kind):
            raise ValueError(f"{one['name']} has the kind {one['kind']!r}; there are {', '.join(get_args(Kind))}")
        made.append(
            Variable(
                name=one["name"],
                kind=one["kind"],
                sources=one.get("from", ""),
                note=one.get("note", ""),
                waves=_by_wave(one.get("waves", {})),
                child=_by_wave(one.get("child", {})),
                otherwise=_by_wave(one.get("otherwise", {})),
                signed=bool(one.get("signed", False)),
                partial=bool(one.get("partial", False)),
                zero=tuple(one.get("zero", ())),
                missing=tuple(one.get("missing", ())),
                unverified=tuple(one.get("unverified", ())),
                words_only=tuple(one.get("words_only", ())),
            )
        )
    return tuple(made)


def _by_wave(told: dict[str, Any]) -> dict[int, tuple[str, ...]]:
    return {
        int(wave): (names,) if isinstance(names, str) else tuple(str(name) for name in names)
        for wave, names in told.items()
    }


def _bad(path: str | Path, why: str) -> InputError:
    return InputError("bad_layout", f"{path} is no layout of a survey: {why}. Take a shipped one as a model.")
