"""The card of a model: every promised part in both languages, comparison, signatures that cannot be edited."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_homes import model

from medfloor.errors import ConflictError, InputError, UsageError
from medfloor.reports.watch_pages import calibration_figure, capacity_figure, write_card
from medfloor.watch.card import PARTS, Card, checked, compare, sign
from medfloor.watch.risk import model_of
from medfloor.words import LANGS

PROMISED = {
    "purpose": ("order for visits", "先后次序"),
    "decides": ("A person decides", "由人决定"),
    "target": ("monitoring line", "监测线"),
    "data": ("made up", "合成"),
    "capacity": ("visits a week", "每周入户"),
    "calibration": ("slope", "斜率"),
    "errors": ("Exclusion error", "漏纳"),
    "lead": ("dated", "日期"),
    "gain": ("official rule", "官方规则"),
    "ranking": ("never alone", "不单独"),
    "slices": ("too few", "数量太少"),
    "features": ("22 numbers", "22项"),
    "limits": ("forgoes care looks safe", "看似安全"),
    "identity": ("SHA-256", "SHA-256"),
    "retraining": ("signed", "签署"),
}


@pytest.mark.parametrize("lang", LANGS)
def test_a_card_has_every_promised_part(lang: str) -> None:
    card = Card(model())
    parts = {one.key: one for one in card.parts(lang)}
    assert list(parts) == list(PARTS) == list(PROMISED)
    for key, words in PROMISED.items():
        part = parts[key]
        whole = " ".join([*part.said, *(cell for _, rows, _ in part.tables for row in rows for cell in row)])
        wanted = words[lang == "zh"].replace("22", str(len(model().features)))
        assert wanted in whole, key
        assert part.title in card.text(lang)
    assert list(parts).index("capacity") < list(parts).index("calibration") < list(parts).index("ranking")


@pytest.mark.parametrize(
    ("lang", "words"), [("en", ("takes a benefit away", "kept apart")), ("zh", ("不减少任何待遇", "另列预警"))]
)
def test_a_card_says_that_nothing_is_taken_away_and_that_absent_care_is_apart(
    lang: str, words: tuple[str, str]
) -> None:
    text = Card(model()).text(lang)
    assert all(one in text for one in words)


def test_the_area_under_the_curve_never_stands_alone() -> None:
    for lang in LANGS:
        lines = [line for line in Card(model()).text(lang).split("\n") if "ROC" in line]
        assert len(lines) == 1
        assert {"en": "Average precision", "zh": "平均精确率"}[lang] in lines[0]


def test_a_card_holds_the_numbers_of_the_judgement() -> None:
    trained = model()
    card = Card(trained).to_dict("en")
    figures = {one["name"]: one["value"] for one in card["judged"]["figures"]}
    assert f"{100 * figures['recall']:.1f} %" in Card(trained).text("en")
    assert (card["hash"], card["data"], card["synthetic"]) == (trained.hash, trained.data, True)
    assert json.loads(json.dumps(card, allow_nan=False)) == card


@pytest.mark.parametrize("lang", LANGS)
def test_a_model_that_was_not_judged_says_so_in_every_part_that_needs_it(lang: str) -> None:
    bare = Card(replace(model(), judged={}, judged_year=None))
    warned = {"en": "not judged", "zh": "评判"}[lang]
    parts = {one.key: " ".join(one.said) for one in bare.parts(lang)}
    assert all(warned in parts[key] for key in ("data", "capacity", "calibration", "errors", "lead", "gain", "ranking"))
    with pytest.raises(UsageError) as error:
        calibration_figure(bare, lang)
    assert error.value.code == "no_such_figure"


def test_a_changed_model_is_refused() -> None:
    plain = json.loads(json.dumps(model().to_dict()))
    assert model_of(plain) == model()
    changed = copy.deepcopy(plain)
    changed["judged"]["figures"][0]["value"] = 0.99
    with pytest.raises(InputError) as error:
        model_of(changed)
    assert error.value.code == "changed_model"
    changed = copy.deepcopy(plain)
    changed["judged"]["profile"]["line"] = 0.0
    with pytest.raises(InputError):
        model_of(changed)


def test_a_comparison_shows_both_and_what_they_were_not_judged_on_alike() -> None:
    old, new = model(), model("logistic", 21)
    found = compare(old, new)
    assert (found.old_hash, found.new_hash) == (old.hash, new.hash)
    assert found.rows[0]["figure"] == "recall"
    assert found.differs == ("fell",)
    assert not found.seen
    later = replace(new, judged_year=2023)
    assert compare(old, later).seen
    for lang in LANGS:
        text = Card(new, found).text(lang)
        assert old.hash[:12] in text
        assert {"en": "not judged alike", "zh": "评判条件不同"}[lang] in text


def test_a_comparison_needs_two_models_that_were_judged() -> None:
    with pytest.raises(UsageError) as error:
        compare(model(), model())
    assert error.value.code == "same_model"
    with pytest.raises(InputError) as missing:
        compare(replace(model(), judged={}), model("logistic", 21))
    assert missing.value.code == "not_judged"


def test_a_signature_stays_in_the_card_with_both_hashes_and_the_comparison() -> None:
    old, new = model(), model("logistic", 21)
    card = Card(new, compare(old, new))
    with pytest.raises(UsageError) as error:
        sign(card, by="Li", on="2026-01-15", accepted=True)
    assert error.value.code == "needs_note"
    signed = sign(card, by="Li", on="2026-01-15", accepted=True, note="one more year of data")
    kept = signed.to_dict("en")["signatures"][0]
    assert (kept["by"], kept["on"], kept["old_hash"], kept["new_hash"]) == ("Li", "2026-01-15", old.hash, new.hash)
    assert kept["comparison"] == card.comparison.to_dict()  # type: ignore[union-attr]
    assert "Li agreed" in signed.text("en")
    again = sign(replace(card, signatures=signed.signatures), by="Wang", on="2026-01-16", accepted=False, note="few")
    assert [one["by"] for one in again.signatures] == ["Li", "Wang"]
    assert "Wang不同意" in again.text("zh")


def test_an_edited_signature_is_refused() -> None:
    card = Card(model("logistic", 21), compare(model(), model("logistic", 21)))
    signed = sign(card, by="Li", on="2026-01-15", accepted=False, note="no").to_dict()["signatures"]
    assert checked(json.loads(json.dumps(signed)))
    with pytest.raises(ConflictError) as error:
        checked([signed[0] | {"accepted": True}])
    assert error.value.code == "signature_changed"
    with pytest.raises(InputError) as strange:
        checked([{"by": "Li"}])
    assert strange.value.code == "bad_signature"
    for given in ({"by": " ", "on": "2026-01-15"}, {"by": "Li", "on": ""}):
        with pytest.raises(UsageError):
            sign(card, accepted=True, note="x", **given)
    with pytest.raises(UsageError) as nothing:
        sign(Card(model()), by="Li", on="2026-01-15", accepted=True)
    assert nothing.value.code == "nothing_compared"


@pytest.mark.parametrize("lang", LANGS)
def test_a_card_is_written_as_markdown_page_and_json(tmp_path: Path, lang: str) -> None:
    card = Card(model())
    for ending in ("md", "html", "json"):
        write_card(card, tmp_path / f"card.{ending}", lang)
    page = (tmp_path / "card.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert page.rstrip().endswith("</html>")
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    for part in card.parts(lang):
        assert f"## {part.title}" in text
        assert part.title in page
    assert json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))["lang"] == lang
    with pytest.raises(UsageError):
        write_card(card, tmp_path / "card.txt", lang)


@pytest.mark.parametrize("lang", LANGS)
def test_figures_are_no_wider_than_a_page_and_show_every_tenth_and_order(lang: str) -> None:
    card = Card(model())
    drawn = json.dumps(calibration_figure(card, lang).to_dict(), ensure_ascii=False)
    for row in model().judged["deciles"]:
        assert str(row["predicted"]) in drawn
    both = capacity_figure(card, lang).to_dict()
    assert {"en": "official rule", "zh": "官方规则"}[lang] in json.dumps(both, ensure_ascii=False)
