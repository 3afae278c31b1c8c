"""Be `medfloor fund project`: will the fund last."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from medfloor.fund.basis import Basis, Place


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--place", default="national", show_default=True, metavar="national|FILE", help="Series and parameters (TOML)."
)
@click.option("--people", "table", metavar="FILE", help="People by year, age and sex instead of cohorts; must add up.")
@click.option("--population", metavar="DIR", help="A folder with claims, people (spells): a county instead of a place.")
@click.option(
    "--policy", metavar="NAME[@DATE]|FILE", help="Settle the population under this law; default: DIR/policy.yaml."
)
@click.option("--settlements", metavar="FILE", help="Take the population's payments from here instead of settling.")
@click.option("--reform", "reforms", multiple=True, metavar="FILE", help="Laid over the policy; may be given again.")
@click.option("--year", type=click.IntRange(1900, 2200), help="The year of the claims, where there are several.")
@click.option("--years", type=int, default=20, show_default=True, help="How many years to project.")
@click.option("--paths", type=int, default=10_000, show_default=True, help="How many paths to draw.")
@click.option("--seed", type=int, default=20201123, show_default=True, help="The same seed gives the same numbers.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="Replace a parameter; may be given again.")
@click.option("--lines", default="3,6,9", show_default=True, help="Reserve lines, months of payment.")
@click.option("--fund", "funds", multiple=True, default=["basic"], show_default=True,
              type=click.Choice(["basic", "critical_illness", "assistance", "commercial"]),
              help="Whose years, lines, fan and tornado are shown; may be given again.")  # fmt: skip
@click.option("--cells", metavar="FILE", help="Write outgo by age, sex, residence and status to .csv or .parquet.")
@click.option("--backtest", is_flag=True, help="Fit to 2020-2022 (a place: its first years) and show the rest beside.")
@click.option("--no-tornado", is_flag=True, help="Leave out what the result hangs on.")
@click.option("--parameters", "listed", is_flag=True, help="List all parameters with source and trust, and stop.")
@click.option("--out", multiple=True, metavar="DIR|FILE", help="Folder for everything, or .html .md .json .csv "
              ".parquet .xlsx .svg .png .pdf; may be given again.")  # fmt: skip
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Project population, income, outgo and reserve of the funds, on a trend and on paths drawn at random.

    Without a place or population: the residents' insurance of the nation, fitted to its published series. Prints months
    of payment with a fan, the probability of crossing each reserve line, the first years of deficit and of an empty
    fund, all funds with what moves between them, who pays, and what the result hangs on. A reform is held against
    the law as it is, on the same people and the same shocks.

    \b
    Examples:
      medfloor fund project
      medfloor fund project --set growth.long_run=4 --set reserve.start=6 --lines 2,4 --years 10
      medfloor fund project --backtest --out projection --lang zh
      medfloor fund project --fund commercial --set commercial.poor_paid=100 --cells cells.csv
      medfloor synthesise --people 20000 --seed 1 --out county
      medfloor fund project --population county --reform reform.yaml --out county.xlsx

    Exit codes: 0 done, 1 done and the basic fund is empty on the trend within the years, 2 nothing could be done.
    """
    from medfloor.fund.contrast import contrast
    from medfloor.fund.parameters import assignments
    from medfloor.fund.projection import project
    from medfloor.fund.reserves import read_lines
    from medfloor.fund.sensitivity import tornadoes

    given = assignments(asked["given"])
    lines, lang = read_lines(asked["lines"]), asked["lang"]
    if asked["out"]:  # Else nothing of files and charts is loaded.
        from medfloor.reports.fund_projection import check_outputs_of, write_projection

        check_outputs_of(asked["out"])
    _check_cells(asked["cells"])
    basis, reformed = _bases(asked, given)
    if asked["listed"]:
        _list_parameters(reformed or basis, lang)
        return
    drawn = {"years": asked["years"], "paths": asked["paths"], "seed": asked["seed"], "lines": lines}
    outlook = project(reformed or basis, **drawn)
    records: list[Any] = [outlook]
    if reformed is not None:
        records.append(contrast(project(basis, **drawn), outlook))
    if asked["backtest"]:
        records.append(_backtest(asked, given))
    if not asked["no_tornado"]:
        records += tornadoes(_maker(asked, reformed or basis), years=asked["years"], given=given)
    _tell(records, asked["funds"], lang)
    for path in asked["out"]:
        written = write_projection(records, path, lang, fund=asked["funds"][0])
        click.echo(f"{path}: {', '.join(one.name for one in written)}", err=True)
    if asked["cells"]:
        from medfloor.intake.files import write_table

        write_table(outlook.cells, asked["cells"], money_columns=[])
        click.echo(f"{asked['cells']}: {outlook.cells.height:,}", err=True)
    ctx.exit(1 if outlook.warnings else 0)


def _bases(asked: dict[str, Any], given: Mapping[str, float]) -> tuple[Basis, Basis | None]:
    """Give the basis, and the one under the reform where there is one."""
    from medfloor.errors import UsageError
    from medfloor.fund.county import county

    if not asked["population"]:
        for name in ("policy", "settlements", "reforms", "year"):
            if asked[name]:
                raise UsageError(
                    "needs_population",
                    f"--{'reform' if name == 'reforms' else name} needs a population; add --population DIR",
                )  # fmt: skip
        return _place(asked, given), None
    if asked["place"] != "national" or asked["table"] or asked["backtest"]:
        raise UsageError(
            "needs_no_population",
            "--place, --people and --backtest are of published series; leave out --population, or leave out these",
        )  # fmt: skip
    folder = Path(asked["population"])
    tables, settled = _tables(folder, asked["settlements"])
    policy = asked["policy"] or (str(folder / "policy.yaml") if (folder / "policy.yaml").is_file() else None)
    if policy is None:
        raise UsageError("no_policy", f"{folder} has no policy.yaml; name the law with --policy, such as cn/beijing")
    if settled is not None and asked["reforms"]:
        raise UsageError("settled_already", "a reform needs the claims settled again; leave out --settlements")
    told = {"year": asked["year"], "given": given, "name": folder.name}
    basis = county(tables, policy, settled=settled, **told)
    if not asked["reforms"]:
        return basis, None
    reformed = county(tables, policy, reforms=asked["reforms"], **told)
    # The reform begins with the reserve that there is, in yuan; as many months of dearer payments would be a gift.
    return basis, replace(reformed, reserve=basis.reserve)


def _tell(records: list[Any], funds: tuple[str, ...], lang: str) -> None:
    """Print the records; of the funds' tornadoes those that were asked for."""
    from medfloor.fund.outlook import Outlook
    from medfloor.fund.sensitivity import Tornado

    for number, record in enumerate(records):
        if isinstance(record, Tornado) and record.fund not in funds:
            continue
        text = (
            record.text(lang, funds=tuple(dict.fromkeys(funds))) if isinstance(record, Outlook) else record.text(lang)
        )
        click.echo(("\n" if number else "") + text)


def _check_cells(path: str | None) -> None:
    from medfloor.errors import UsageError

    if path is not None and Path(path).suffix.lower() not in (".csv", ".parquet"):
        raise UsageError("unknown_format", f"--cells {path} ends in neither .csv nor .parquet. Rename it.")


def _backtest(asked: dict[str, Any], given: Mapping[str, float]) -> Any:
    """Hold the nation, or the place, against its own later years."""
    from medfloor.fund.backtest import backtest

    place = None if asked["place"] == "national" else _read_place(asked["place"])
    return backtest(given=given, paths=asked["paths"], seed=asked["seed"], place=place)


def _place(asked: dict[str, Any], given: Mapping[str, float]) -> Basis:
    from medfloor.fund.basis import national, place_basis

    table = None
    if asked["table"]:
        from medfloor.intake.files import read_table

        table = read_table(asked["table"], "people by year")
    if asked["place"] == "national":
        return national(given=given, table=table, years=asked["years"])
    return place_basis(_read_place(asked["place"]), given=given, table=table, years=asked["years"])


def _read_place(name: str) -> Place:
    from medfloor.errors import InputError
    from medfloor.fund.basis import read_place

    file = Path(name)
    if not file.is_file():
        raise InputError(
            "file_not_found", f"there is no file {file}; write national, or the path of a place file (TOML)"
        )
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError("bad_series", f"{file} is not a text in UTF-8; save it as UTF-8") from None
    return read_place(text, where=file.name)


def _maker(asked: dict[str, Any], basis: Basis) -> Any:
    """Give what puts the basis together again with other parameters: from series all of it, from claims what can be."""
    if asked["population"]:
        return basis.with_yours
    return lambda given: _place(asked, given)


def _tables(folder: Path, settlements: str | None) -> tuple[dict[str, Any], Any]:
    from medfloor.errors import InputError
    from medfloor.intake.files import read_table

    found = {
        name: next((path for end in (".parquet", ".csv") if (path := folder / f"{name}{end}").is_file()), None)
        for name in ("claims", "people", "spells")
    }
    for name in ("claims", "people"):
        if found[name] is None:
            raise InputError(
                "no_population",
                f"{folder} has no {name}.parquet or {name}.csv; a population is a folder with claims and people, such "
                "as `medfloor synthesise` writes",
            )
    tables = {name: None if path is None else read_table(path, name) for name, path in found.items()}
    return tables, read_table(settlements, "settlements") if settlements else None


def _list_parameters(basis: Basis, lang: str) -> None:
    from medfloor.fund.series import source_text, unit_text
    from medfloor.terminal import aligned
    from medfloor.words import say

    heads = [
        say(f"fund_project.{one}", lang) for one in ("parameter", "item", "value", "unit", "year", "trust", "source")
    ]
    rows = [
        [
            one.name,
            one.title(lang),
            f"{one.value:.4g}",
            unit_text(one.unit, lang),
            str(one.year),
            say(f"fund_trust.{one.trust}", lang),
            source_text(one.source, lang),
        ]
        for one in basis.parameters.all
    ]
    for line in aligned([heads, *rows], right=[2]):
        click.echo(line)
