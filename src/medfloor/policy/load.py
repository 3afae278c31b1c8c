"""Find policies, read them, let one extend another, and apply reforms.

A policy is addressed as `cn/beijing` (the version in force on each claim's settled date), as `cn/beijing@2023-01-01`
(the version in force that day, for every claim) or by the path of a file, which takes a day in the same way.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from medfloor.errors import PolicyError
from medfloor.policy import model, parsed
from medfloor.policy.model import Policy

LIBRARY = Path(__file__).parent / "library"
"""Where the shipped policies are: <country>/<place>/<from date>.yaml."""

Raw = dict[str, Any]


@dataclass(frozen=True)
class PolicySet:
    """Be the versions of one place's law, in order of date.

    `versions[i].from_` is strictly rising. `pinned` means that one version serves every claim, whatever its date.
    """

    address: str
    versions: tuple[Policy, ...]
    pinned: bool
    files: tuple[Path, ...]

    def index_on(self, day: date) -> int | None:
        """Give the index of the version in force on a day, or None where there is none."""
        if self.pinned:
            return 0
        for index in range(len(self.versions) - 1, -1, -1):
            version = self.versions[index]
            if version.from_ <= day:
                return index if version.to is None or day <= version.to else None
        return None

    def span(self, index: int) -> tuple[date, date]:
        """Give the first and the last day on which a version is in force, as `index_on` sees it."""
        if self.pinned:
            return date.min, date.max
        version = self.versions[index]
        last = version.to or date.max
        if index + 1 < len(self.versions):
            last = min(last, self.versions[index + 1].from_ - timedelta(days=1))
        return version.from_, last


def load_policy(address: str, reforms: Sequence[str | Path] = ()) -> PolicySet:
    """Load the versions that an address names, with reforms applied to each.

    Raises PolicyError where the address is unknown or a file is wrong; the message names file, line and, for a
    mistyped key, the nearest known one. A reform that says which policies it is written for, and meets another that
    lacks what it changes, is refused with their names (reform_not_for).

    >>> load_policy("cn/beijing@2023-06-01").versions[0].from_
    datetime.date(2023, 1, 1)
    """
    files, pinned = find_files(address)
    versions: list[Policy] = []
    trail: list[Path] = []
    fates = _Fates()
    for file in files:
        for raw, places in _expand(file):
            own = places
            for reform in reforms:
                raw = _apply_reform(raw, own, address, Path(reform), fates)
                places = (*places, Path(reform))
            try:
                versions.append(_validate(raw, places))
            except PolicyError as error:
                raise _foreign(error, address, reforms) from None
            trail.append(places[-1] if reforms else file)
    try:
        fates.check()
    except PolicyError as error:
        raise _foreign(error, address, reforms) from None
    versions.sort(key=lambda version: version.from_)
    if pinned and files[0].name in address:  # a file, which may extend several versions
        day = address.rpartition("@")[2]
        begun = [version for version in versions if version.from_.isoformat() <= day]
        if not begun:
            raise PolicyError("policy_not_found", f"{files[0]} is not in force on {day}; see its `from`")
        versions, trail = begun[-1:], trail[:1]
    return PolicySet(address, tuple(versions), pinned, tuple(trail))


def list_policies() -> list[tuple[str, list[date]]]:
    """List the shipped places with the dates of their versions.

    >>> ("cn/shandong", [date(2014, 4, 1), date(2015, 1, 1)]) in list_policies()
    True
    """
    found: dict[str, list[date]] = {}
    for file in sorted(LIBRARY.rglob("*.yaml")):
        found.setdefault(file.parent.relative_to(LIBRARY).as_posix(), []).append(date.fromisoformat(file.stem))
    return sorted(found.items())


def find_files(address: str) -> tuple[list[Path], bool]:
    """Find the files that an address names, and whether it is pinned to one date.

    Raises PolicyError with the nearest known address.
    """
    if "+" in address and not Path(address).is_file():
        raise PolicyError(
            "policy_not_found",
            f"there is no policy {address!r}; give the policy alone, and lay a reform under it with "
            "--baseline-reform FILE (simulate, optimise, household) or --reform FILE (elsewhere)",
        )
    if address.endswith((".yaml", ".yml")) or Path(address).is_file():
        path = Path(address)
        if not path.is_file():
            raise PolicyError("policy_not_found", f"there is no policy file {address}; check the path")
        return [path], False
    file, _, day_text = address.rpartition("@")
    if file.endswith((".yaml", ".yml")) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", day_text):
        if not Path(file).is_file():
            raise PolicyError("policy_not_found", f"there is no policy file {file}; check the path")
        return [Path(file)], True
    name, _, day_text = address.partition("@")
    files = sorted((LIBRARY / name).glob("*.yaml")) if re.fullmatch(r"[a-z0-9_/-]+", name) else []
    if not files:
        known = [place for place, _ in list_policies()]
        near = difflib.get_close_matches(name, known, 1, 0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise PolicyError(
            "policy_not_found",
            f"there is no policy {name!r}; {hint}`medfloor policy list` shows all; a path to a .yaml file works too",
        )
    if not day_text:
        return files, False
    try:
        day = date.fromisoformat(day_text)
    except ValueError:
        raise PolicyError(
            "policy_not_found", f"{day_text!r} in {address} is not a date; write it as in {name}@2023-01-01"
        ) from None
    started = [file for file in files if date.fromisoformat(file.stem) <= day]
    if not started:
        raise PolicyError(
            "policy_not_found", f"{name} has no version in force on {day}; the first is of {files[0].stem}"
        )
    return started[-1:], True


def read_yaml(file: Path) -> Raw:
    """Read one YAML 1.2 file as plain data; duplicate keys are refused.

    Raises PolicyError with file and line.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError("policy_unreadable", f"{file} cannot be read: {error}") from None
    known = parsed.kept(text)
    if known is not None:
        return known
    try:
        data = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        raise PolicyError("policy_syntax", f"{file}, line {line}: {error.problem}; mend the YAML there") from None
    except (YAMLError, ValueError) as error:
        raise PolicyError("policy_syntax", f"{file}: {error}; mend the YAML there") from None
    if not isinstance(data, dict):
        raise PolicyError(
            "policy_syntax", f"{file}, line 1: a policy file is a mapping of keys such as id, name, tiers"
        )
    parsed.keep(text, data)
    return data


@functools.lru_cache(maxsize=256)
def _read_once(file: Path, _stamp: tuple[int, int]) -> Raw:
    return read_yaml(file)


def _read(file: Path) -> Raw:
    """Read a file once per content; callers must not change what they get."""
    try:
        stat = file.stat()
    except OSError as error:
        raise PolicyError("policy_unreadable", f"{file} cannot be read: {error}") from None
    return _read_once(file, (stat.st_mtime_ns, stat.st_size))


def _expand(file: Path, seen: tuple[Path, ...] = ()) -> Iterator[tuple[Raw, tuple[Path, ...]]]:
    """Give the raw policy of a file, merged onto what it extends, and the files it came from (own last)."""
    file = file.resolve() if file.is_absolute() else file
    if file in seen:
        raise PolicyError("policy_circle", f"{file} extends itself by way of {seen[-1]}; take one `extends` out")
    raw = _read(file)
    parent = raw.get("extends")
    if parent is None:
        yield _without_reform_keys(raw), (file,)
        return
    local = (file.parent / str(parent)).resolve()
    files = [local] if local.is_file() else find_files(str(parent))[0]
    if "from" in raw and len(files) > 1:
        day = raw["from"] if isinstance(raw["from"], date) else date.fromisoformat(str(raw["from"]))
        files = [f for f in files if f.stem < day.isoformat()][-1:] or files[:1]
    for parent_file in files:
        for base, places in _expand(parent_file, (*seen, file)):
            for part in _over(raw, [_read(place) for place in places], str(parent), file):
                base = _overlay(base, part, file)
            yield base, (*places, file)


@dataclass(frozen=True)
class _Fates:
    """Be what became of a reform's changes over the versions of a place.

    A change may name what only some versions have (assistance, say, that began later); one that no version has is a
    mistake.
    """

    made: set[tuple[Path, str]] = field(default_factory=set)
    missed: dict[tuple[Path, str], PolicyError] = field(default_factory=dict)

    def check(self) -> None:
        """Raise the error of a change that no version could make."""
        for key, error in self.missed.items():
            if key not in self.made:
                raise error


def _apply_reform(base: Raw, places: tuple[Path, ...], address: str, file: Path, fates: _Fates) -> Raw:
    if not file.is_file():
        raise PolicyError("reform_not_found", f"there is no reform file {file}; check the path given to --reform")
    raw = {key: value for key, value in _read(file).items() if key not in ("extends", "id", "from", "to")}
    for part in _over(raw, [_read(place) for place in places], address, file):
        base = _overlay(base, part, file, fates)
    return base


def _over(raw: Raw, lineage: Sequence[Raw], address: str, file: Path) -> Iterator[Raw]:
    """Give what a reform lays over a policy: what it says for all, then what it says below `over` for this one.

    `lineage` holds the files that the policy comes from, its own last; the nearest of them that `over` names counts.
    """
    yield {key: value for key, value in raw.items() if key != "over"}
    parts = raw.get("over")
    if parts is None:
        return
    if not isinstance(parts, dict) or not all(isinstance(one, dict) for one in parts.values()):
        raise PolicyError("policy_syntax", f"{file}: `over` maps names of policies to what is laid over each")
    names = [str(one["id"]) for one in reversed(lineage) if "id" in one]
    name = next((one for one in names if one in parts), None)
    if name is None:
        there = names[0] if names else address
        raise _not_for(file, address, list(parts), f"it says nothing below `over` for {there}")
    yield parts[name]


def _foreign(error: PolicyError, address: str, reforms: Sequence[str | Path]) -> PolicyError:
    """Say in one line for which policies a reform is written, where it met another that lacks what it changes."""
    files = [Path(reform) for reform in reforms]
    named = [file for file in files if f"{file}, line" in error.message] or files
    for file in named:
        written = _written_for(_read(file))
        if written and address not in written and error.code in ("reform_path", "policy_invalid"):
            what = error.message.splitlines()[0].removeprefix(f"{file}, ")
            return _not_for(file, address, written, what)
    return error


def _not_for(file: Path, address: str, written: Sequence[str], what: str) -> PolicyError:
    return PolicyError(
        "reform_not_for",
        f"{file} is written for {' and '.join(dict.fromkeys(written))}, and {address} lacks what it changes: "
        f"{what.rstrip('.')}. Lay it over {written[0]}, or write it for {address}",
    )


def _written_for(raw: Raw) -> list[str]:
    """List the policies that a reform file says it is written for."""
    about = raw.get("reform")
    said = about.get("baselines") if isinstance(about, dict) else None
    return [str(one.get("policy")) for one in said or () if isinstance(one, dict)]


def _without_reform_keys(raw: Raw) -> Raw:
    for key in ("change", "over"):
        if key in raw:
            raise PolicyError("policy_syntax", f"`{key}` needs `extends`, or use the file with --reform")
    return {key: value for key, value in raw.items() if key != "reform"}


def _overlay(base: Raw, raw: Raw, file: Path, fates: _Fates | None = None) -> Raw:
    """Lay an extending file or a reform over a base: first its own keys, then its `change` of named values.

    With `fates`, a change whose path this base lacks is noted and passed over.
    """
    own = {key: value for key, value in raw.items() if key not in ("change", "reform")}
    merged: Raw = _merge(base, own)
    if "from" in own and "to" not in own:
        merged.pop("to", None)
    changes = raw.get("change") or {}
    if not isinstance(changes, dict):
        raise PolicyError("policy_syntax", f"{file}: `change` maps paths to values; see `medfloor policy show --names`")
    for path, value in changes.items():
        try:
            merged = _change(merged, str(path).strip("/").split("/"), value, str(path), file)
        except PolicyError as error:
            if fates is None or error.code != "reform_path":
                raise
            fates.missed[file, str(path)] = error
        else:
            if fates is not None:
                fates.made.add((file, str(path)))
    return merged


def _is_case(value: Any) -> bool:
    return isinstance(value, dict) and "unit" in value


def _merge(base: Any, over: Any) -> Any:
    """Merge two raw values: mappings by key, lists of items with an id by id, all else replaced.

    A number is replaced with its source and quotation; only its unit, condition and id are kept where not given.
    """
    if isinstance(base, dict) and isinstance(over, dict):
        if _is_case(base):
            kept = {key: base[key] for key in ("id", "unit", "when") if key in base}
            return {**kept, **over}
        merged = dict(base)
        for key, value in over.items():
            merged[key] = _merge(base[key], value) if key in base else _first(value)
        return merged
    if _has_ids(base) and _has_ids(over):
        items = list(base)
        for item in over:
            where = {"after": item.get("after"), "before": item.get("before")}
            item = {key: value for key, value in item.items() if key not in ("after", "before")}
            place = next((i for i, old in enumerate(items) if old["id"] == item["id"]), None)
            if item.get("remove") is True:
                if place is not None:
                    del items[place]
            elif place is not None:
                items[place] = _merge(items[place], item)
            else:
                anchor = where["before"] or where["after"]
                spot = next((i for i, old in enumerate(items) if old["id"] == anchor), None)
                spot = len(items) if spot is None else spot + (where["before"] is None)
                items.insert(spot, _first(item))
        return items
    return over if _is_case(over) else _first(over)


def _first(value: Any) -> Any:
    """Give what stands where nothing stood: there is nothing to take out, and no other item to stand beside."""
    if isinstance(value, list):
        kept = [item for item in value if not (isinstance(item, dict) and item.get("remove") is True)]
        if _has_ids(kept):
            kept = [{key: one for key, one in item.items() if key not in ("after", "before")} for item in kept]
        return [_first(item) for item in kept]
    return {key: _first(one) for key, one in value.items()} if isinstance(value, dict) else value


def _has_ids(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and "id" in item and not _is_case(item) for item in value)
    )


REFORM_NOTE = {"zh": "由改革方案设定", "en": "set by the reform"}


def _change(node: Any, path: list[str], value: Any, whole: str, file: Path) -> Any:
    """Give a copy of node in which the value at path is changed."""
    if not path:
        return _changed_value(node, value, whole, file)
    head, rest = path[0], path[1:]
    if isinstance(node, dict) and not (_is_case(node) and head == "0"):
        if head not in node:
            raise _unknown_path(whole, head, list(node), file)
        return {**node, head: _change(node[head], rest, value, whole, file)}
    if isinstance(node, dict):
        return _change(node, rest, value, whole, file)
    if isinstance(node, list):
        for index, item in enumerate(node):
            if (isinstance(item, dict) and item.get("id") == head) or head == str(index):
                return [*node[:index], _change(item, rest, value, whole, file), *node[index + 1 :]]
        known = [str(item.get("id", i)) if isinstance(item, dict) else str(i) for i, item in enumerate(node)]
        raise _unknown_path(whole, head, known, file)
    raise _unknown_path(whole, head, [], file)


def _unknown_path(whole: str, head: str, known: list[str], file: Path) -> PolicyError:
    near = difflib.get_close_matches(head, known, 1, 0.4)
    hint = f"did you mean {near[0]}? " if near else ""
    lines = (_line_in(file, (*root, "change", whole), whole=True) for root in _roots(file))
    line = next((line for line in lines if line), 1)
    return PolicyError(
        "reform_path",
        f"{file}, line {line}: change {whole!r}: nothing is called {head!r} there; {hint}"
        f"known: {', '.join(known[:12])}. `medfloor policy show NAME --names` prints every path",
    )


def _changed_value(node: Any, value: Any, whole: str, file: Path) -> Any:
    if isinstance(node, list) and node and all(_is_case(item) for item in node):
        if isinstance(value, list):
            return value
        return [_changed_value(item, value, whole, file) for item in node]
    if not _is_case(node):
        return value
    kept = {key: node[key] for key in ("id", "unit", "when") if key in node}
    kept |= {"trust": "unverified", "note": REFORM_NOTE}
    if isinstance(value, dict) and set(value) <= {"times", "plus"} and value:
        if node.get("value") is None:
            raise PolicyError("reform_path", f"{file}: change {whole!r}: there is no value to multiply or add to")
        figure = Decimal(str(node["value"])) * Decimal(str(value.get("times", 1))) + Decimal(str(value.get("plus", 0)))
        return {**kept, "value": str(figure.normalize() + 0), **({"of": node["of"]} if "of" in node else {})}
    if isinstance(value, dict):
        return {**kept, **value}
    return {**kept, "value": value}


def _validate(raw: Raw, places: tuple[Path, ...]) -> Policy:
    try:
        return Policy.model_validate(raw)
    except ValidationError as error:
        problems = [_problem(raw, dict(item), places) for item in error.errors()[:8]]
        raise PolicyError("policy_invalid", "\n".join(problems)) from None


def _problem(raw: Raw, item: Mapping[str, Any], places: tuple[Path, ...]) -> str:
    names = _names(raw, item["loc"])
    file, line = places[-1], 1
    for candidate in reversed(places):
        found = _line_in(candidate, names, exact=True)
        if found:
            file, line = candidate, found
            break
    where = "/".join(str(name) for name in names) or "the file"
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(names[-1]), _known_keys(), 1, 0.5)
        hint = f"; the nearest known key is {near[0]}" if near else ""
        return f"{file}, line {line}: {where}: unknown key {names[-1]!r}{hint}"
    message = item["msg"].removeprefix("Value error, ")
    value = item.get("input")
    shown = f" (found {value!r})" if isinstance(value, (str, int, float, bool)) else ""
    return f"{file}, line {line}: {where}: {message}{shown}"


def _names(raw: Any, loc: Sequence[str | int]) -> tuple[str | int, ...]:
    """Turn the positions of a validation error into keys and ids."""
    names: list[str | int] = []
    node = raw
    for step in loc:
        if isinstance(step, int):
            if isinstance(node, list) and step < len(node):
                node = node[step]
                names.append(node.get("id", step) if isinstance(node, dict) else step)
        elif isinstance(node, dict) and step in node:
            node = node[step]
            names.append(step)
        else:
            names.append(step)
    return tuple(names)


@functools.lru_cache(maxsize=64)
def _composed(file: Path, _stamp: tuple[int, int]) -> Any:
    """Compose a file into nodes that know their lines, once per content."""
    return YAML().compose(file.read_text(encoding="utf-8-sig"))


def _line_in(file: Path, names: Sequence[str | int], exact: bool = False, whole: bool = False) -> int:
    """Give the line of a path of keys and ids in a YAML file; 0 where `exact` is asked and it is not there.

    With `exact` the last name may be missing (its holder's line is given), with `whole` none may.
    """
    try:
        stat = file.stat()
        node: Any = _composed(file, (stat.st_mtime_ns, stat.st_size))
    except (OSError, YAMLError):
        return 0 if exact else 1
    line = 1
    for depth, name in enumerate(names):
        found = _child(node, name)
        if found is None and whole:
            return 0
        if found is None:
            missing_leaf = depth == len(names) - 1
            return line if (missing_leaf or not exact) and depth > 0 else (0 if exact else line)
        line, node = found
    return line


def _child(node: Any, name: str | int) -> tuple[int, Any] | None:
    if node is None:
        return None
    if node.id == "mapping":
        for key, value in node.value:
            if key.value == str(name):
                return key.start_mark.line + 1, value
        return None
    if node.id == "sequence":
        for index, item in enumerate(node.value):
            own = next((v.value for k, v in item.value if k.value == "id"), None) if item.id == "mapping" else None
            if own == str(name) or (isinstance(name, int) and index == name):
                return item.start_mark.line + 1, item
    return None


def line_of(places: Sequence[Path], names: Sequence[str | int]) -> tuple[Path, int]:
    """Find the file and line of a path of keys and ids, looking into the last file first."""
    changes = [("change", "/".join(str(name) for name in names[:depth])) for depth in range(len(names), 1, -1)]
    paths: list[Sequence[str | int]] = [*changes, *(names[:depth] for depth in range(len(names), 0, -1))]
    for path in paths:
        for file in reversed(places):
            for root in _roots(file):
                line = _line_in(file, (*root, *path), whole=True)
                if line:
                    return file, line
    return places[-1], 1


def _roots(file: Path) -> list[tuple[str, ...]]:
    """List the places of a file below which a policy's keys stand: its top, and each policy that `over` names."""
    try:
        over = _read(file).get("over")
    except PolicyError:
        over = None
    return [(), *(("over", str(name)) for name in over)] if isinstance(over, dict) else [()]


@functools.cache
def _known_keys() -> list[str]:
    keys: set[str] = set()
    for value in vars(model).values():
        if isinstance(value, type) and issubclass(value, BaseModel):
            for name, field in value.model_fields.items():
                keys.add(field.alias or name)
    return sorted(keys)


def files_behind(address: str) -> list[tuple[Path, ...]]:
    """Give, for each version of an address, the files that it is made of, own file last."""
    return [places for file in find_files(address)[0] for _, places in _expand(file)]


def groups_of(policies: PolicySet) -> tuple[str, ...]:
    """List the groups that spells may name under these policies: those of the data contract and those declared."""
    declared = [group.id for version in policies.versions for group in version.groups]
    return tuple(dict.fromkeys((*model.GROUPS, *declared)))


def with_reform_name(policies: PolicySet, address: str) -> PolicySet:
    """Give the same policies under another address."""
    return replace(policies, address=address)


CARE_TYPES: tuple[str, ...] = get_args(model.CareType)
