"""Be `medfloor watch card`: what a model is for, how well it does, what it must not do; compare, and sign."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.watch.reading import read_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", metavar="MODEL")
@click.option("--compare", "old", metavar="OLD", help="Hold MODEL against the model in use.")
@click.option("--sign", "signs", is_flag=True, help="Record who agreed to the comparison; needs --compare, --by, --on.")
@click.option("--by", help="Who decided.")
@click.option("--on", help="The day of the decision, YYYY-MM-DD.")
@click.option("--refused", is_flag=True, help="The new model was refused; without it, accepted.")
@click.option("--note", default="", help="Why; needed where the two were not judged alike.")
@click.option("--history", metavar="FILE", help="A card (.json) whose signatures are kept in the new one.")
@click.option("--out", multiple=True, metavar="FILE", help="card.md, card.html, card.json, or the figure of "
              "calibration (.svg .png .pdf); may be given again.")  # fmt: skip
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
def command(**asked: Any) -> None:
    """Print the card of MODEL, as medfloor watch train wrote it; a file that was changed is refused.

    The card leads with what the office's visits reach, then says whether probabilities are right, whom it misses, how
    it does by group, and its limits. A new model is put in use only by a signed comparison with the one in use: the
    record (who, when, both hashes, the comparison) stays in card.json. It proves nothing about identity.

    \b
    Examples:
      medfloor watch card model.json
      medfloor watch card model.json --lang zh --out card.html --out card.json
      medfloor watch card new.json --compare model.json
      medfloor watch card new.json --compare model.json --sign --by "Li" --on 2026-01-15 \\
        --history card.json --out card_new.json

    Exit codes: 0 done, 2 nothing could be done (a changed model, a signature without a comparison).
    """
    from medfloor.intake.files import check_outputs
    from medfloor.reports.watch_pages import CARD_ENDINGS, check_endings, write_card
    from medfloor.watch.card import Card, checked, compare, sign

    outs, lang = asked["out"], asked["lang"]
    check_endings(outs, CARD_ENDINGS)
    check_outputs(outs, [asked[one] for one in ("model", "old")], any_format=True)
    _check_signing(asked)
    model = read_model(asked["model"])
    seen = checked(_signatures(asked["history"])) if asked["history"] else ()
    compared = compare(read_model(asked["old"]), model) if asked["old"] else None
    card = Card(model, compared, seen)
    if asked["signs"]:
        card = sign(card, by=asked["by"], on=asked["on"], accepted=not asked["refused"], note=asked["note"])
    click.echo(card.text(lang))
    for path in outs:
        write_card(card, path, lang)
        click.echo(path, err=True)


def _check_signing(asked: Mapping[str, Any]) -> None:
    from medfloor.errors import UsageError

    if not asked["signs"]:
        if asked["by"] or asked["on"] or asked["refused"] or asked["note"]:
            raise UsageError(
                "needs_sign", "--by, --on, --refused and --note belong to --sign; add it, or leave them out"
            )
        return
    if not asked["by"] or not asked["on"] or not any(path.lower().endswith(".json") for path in asked["out"]):
        raise UsageError("needs_signature", "a signature needs --by WHO, --on YYYY-MM-DD and --out card.json")
    try:
        date.fromisoformat(asked["on"])
    except ValueError:
        raise UsageError("bad_day", f"--on {asked['on']!r} is no day such as 2026-01-15") from None


def _signatures(name: str) -> Sequence[Mapping[str, Any]]:
    """Read the signatures of an earlier card."""
    from medfloor.errors import InputError

    file = Path(name)
    if not file.is_file():
        raise InputError("file_not_found", f"there is no file {file}; give a card.json of medfloor watch card")
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise InputError("bad_signature", f"{file.name} is no JSON; give a card.json of medfloor watch card") from None
    found = card.get("signatures") if isinstance(card, dict) else None
    if not isinstance(found, list):
        raise InputError("bad_signature", f"{file.name} is no card; give a card.json of medfloor watch card")
    return found
