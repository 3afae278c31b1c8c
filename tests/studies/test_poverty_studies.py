"""The studies of seeds 000 and 001 on made-up files: sections, words, truth, what is lacking, and what is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from made_cfps import drop_columns, made

from medfloor.errors import InputError, UsageError
from medfloor.studies import STUDIES, about_study, run_study
from medfloor.studies.pages import write_study
from medfloor.studies.study import Study

OWN = ("cii-poverty", "urrbmi-relative-poverty")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("cfps"), scale=0.05)


@pytest.fixture(scope="module")
def critical(folder: Path) -> Study:
    return run_study("cii-poverty", folder, permutations=20)


@pytest.fixture(scope="module")
def basic(folder: Path) -> Study:
    return run_study("urrbmi-relative-poverty", folder, draws=20)


# What studies say before they are run


@pytest.mark.parametrize("name", STUDIES)
def test_quotations_stand_in_the_source_document_word_for_word(name: str, root: Path) -> None:
    seeds = root.parent / "shared" / "seeds"
    found = sorted(seeds.glob(f"{STUDIES[name]}_*.txt")) if seeds.is_dir() else []
    if not found:
        pytest.skip(f"the source documents are not beside the repository ({seeds.name}); they are not part of it")
    # A line that breaks in the document is no other word.
    text = " ".join(found[0].read_text(encoding="utf-8").split())
    about = about_study(name)
    assert about.printed
    for one in about.printed:
        assert one.seed == STUDIES[name]
        assert " ".join(one.text.split()) in text


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("name", OWN)
def test_a_study_tells_all_that_one_must_know_before_a_run(name: str, lang: str) -> None:
    told = about_study(name).text(lang)
    headings = {"en": ("Question", "Equations", "What would be needed"), "zh": ("问题", "方程", "还需要什么")}
    assert all(one in told for one in headings[lang])
    assert "waves" in told


def test_listing_studies_imports_nothing_heavy() -> None:
    code = (
        "import sys; from medfloor.studies import STUDIES; import medfloor.cli.study; "
        "print([one for one in ('polars', 'numpy', 'pandas', 'pyfixest') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_wrong_names_and_settings_are_misuse(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean cii-poverty"):
        about_study("cii-povert")
    for settings, code in (({"speed": 3}, "no_such_setting"), ({"permutations": "many"}, "bad_setting")):
        with pytest.raises(UsageError) as error:
            run_study("cii-poverty", tmp_path, **settings)
        assert error.value.code == code
    with pytest.raises(UsageError, match="residence, hukou"):
        run_study("urrbmi-relative-poverty", tmp_path, rural="village")
    with pytest.raises(InputError) as missing:
        run_study("cii-poverty", tmp_path / "nowhere")
    assert missing.value.code == "file_not_found"
    with pytest.raises(UsageError, match="seed"):
        run_study("cii-poverty", tmp_path, seed=-1)


# What they find


def test_the_sections_of_the_study_of_critical_illness_insurance_are_those_announced(critical: Study) -> None:
    assert [one.name for one in critical.sections] == [
        "data", "poverty", "effects", "modern", "checks", "groups", "equity", "mechanisms", "elements", "truth",
    ]  # fmt: skip
    assert not [one.say("en") for section in critical.sections for one in section.undone]
    assert [one.name for one in critical.tables()] == list(dict.fromkeys(one.name for one in critical.tables()))


def test_every_claim_quotes_what_the_study_says_was_printed(critical: Study, basic: Study) -> None:
    for study in (critical, basic):
        claims = [claim for section in study.sections for claim in section.claims]
        assert {claim.printed for claim in claims} == set(study.about.printed)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_made_up_data_are_said_to_be_made_up_before_anything_else(critical: Study, basic: Study, lang: str) -> None:
    for study in (critical, basic):
        said = study.text(lang).splitlines()[1]
        assert said.startswith({"zh": "虚构数据", "en": "MADE-UP DATA"}[lang])
        for claim in (claim for section in study.sections for claim in section.claims if claim.of_data):
            assert {"zh": "本数据（虚构）", "en": "Here (made-up data)"}[lang] in study.text(lang), claim
    real = replace(critical, synthetic=False)
    assert "虚构" not in real.text("zh").partition("\n9. ")[0].partition("10.")[0]


def test_the_estimates_stand_beside_the_truth_and_near_it(critical: Study) -> None:
    frame = critical.table("estimators").content
    assert isinstance(frame, pl.DataFrame)
    income = frame.filter((pl.col("outcome") == "ln_income") & (pl.col("model") == "imputation")).row(0, named=True)
    assert income["truth"] > 0.05
    # Four standard errors: one panel of chance, whose error the estimate itself tells.
    assert abs(income["estimate"] - income["truth"]) < 4 * income["se"]
    truth = dict(critical.table("truth").content.iter_rows())  # type: ignore[union-attr]
    # The rise of the line takes back part of the effect on relative poverty.
    assert truth["poor_50"] < truth["poor_50_lines"] <= 0.02


def test_the_elements_of_the_law_have_a_source_and_a_trust_each(critical: Study) -> None:
    frame = critical.table("elements").content
    assert isinstance(frame, pl.DataFrame)
    assert {"deductible", "rate", "cap"} <= set(frame["element"])
    assert frame["trust"].null_count() == 0
    assert frame["source@zh"].null_count() == 0


def test_the_paths_compare_regressions_on_the_same_rows(basic: Study) -> None:
    for name in ("path-health", "path-compensation"):
        fits = basic.table(name).content
        assert isinstance(fits, tuple)
        assert len({fit.rows["rows"][0] for fit in fits}) == 1


def test_mediation_says_that_it_needs_sequential_ignorability(basic: Study) -> None:
    fit = basic.table("mediation-health").content
    assert "ignorability" in " ".join(one.say("en") for one in fit.not_shown)  # type: ignore[union-attr]


# What is lacking


def test_files_without_own_payments_leave_out_what_needs_them_and_say_so(tmp_path: Path) -> None:
    folder = made(tmp_path / "files", scale=0.03)
    drop_columns(folder, "fp509", "fp511")
    study = run_study("urrbmi-relative-poverty", folder, draws=20)
    undone = [one.say("en") for section in study.sections for one in section.undone]
    assert any("own payments" in one for one in undone)
    assert study.findings >= len(undone) > 0
    compensation = study.section("compensation")
    assert compensation.claims[0].verdict == "not_tried"


def test_files_without_insurance_cannot_tell_who_joined(tmp_path: Path) -> None:
    folder = made(tmp_path / "files", scale=0.01, without=("adult", "person", "child"))
    with pytest.raises(InputError) as error:
        run_study("urrbmi-relative-poverty", folder)
    assert error.value.code == "no_insurance"


def test_where_nobody_joined_or_left_what_was_printed_still_stands_beside_the_reason(tmp_path: Path) -> None:
    folder = made(tmp_path / "files", scale=0.01)
    for file in folder.glob("cfps*.csv"):
        table = pl.read_csv(file, infer_schema=False)
        slots = [name for name in table.columns if name.lower().startswith("qp605_s_")]
        # Everybody is in the cooperative scheme (5), with no other insurance.
        table.with_columns(pl.lit("5" if name == slots[0] else "-8").alias(name) for name in slots).write_csv(file)
    study = run_study("urrbmi-relative-poverty", folder, draws=5)
    claims = {claim.printed: claim.verdict for section in study.sections for claim in section.claims}
    assert set(claims) == set(study.about.printed)
    path = study.section("compensation")
    assert path.claims[0].verdict == "not_tried"
    assert all("nobody here joined or left" in one.say("en") for one in path.undone)


def test_files_that_do_not_tell_town_and_country_say_what_to_do(tmp_path: Path) -> None:
    folder = made(tmp_path / "files", scale=0.01)
    drop_columns(folder, "urban")
    with pytest.raises(InputError, match="rural=hukou") as error:
        run_study("urrbmi-relative-poverty", folder)
    assert error.value.code == "nobody_rural"


# What is written


def test_a_study_is_written_as_pages_tables_figures_and_plain_data(
    critical: Study, basic: Study, tmp_path: Path
) -> None:
    for study, lang in ((basic, "en"), (critical, "zh")):
        written = write_study(study, tmp_path / lang, lang)
        assert all(file.stat().st_size for file in written)
        told = json.loads((tmp_path / lang / "report.json").read_text(encoding="utf-8"))
        assert told["synthetic"] is True
        assert told["seed_document"] == study.about.seed
        names = sorted(file.relative_to(tmp_path / lang).as_posix() for file in written)
        assert told["files"] == names
        page = (tmp_path / lang / "report.html").read_text(encoding="utf-8")
        assert "http" not in page.replace("http://www.w3.org", "")
        assert page.count("<img") == sum(name.startswith("figures/") for name in names)
        plain = (tmp_path / lang / "report.md").read_text(encoding="utf-8")
        assert all(one.title.say(lang) in plain for one in study.tables())
    frame, made_of = pl.read_csv(tmp_path / "zh" / "tables" / "estimators.csv"), critical.table("estimators").content
    assert isinstance(made_of, pl.DataFrame)
    assert frame["estimate"].to_list() == made_of["estimate"].to_list()


def test_the_same_study_written_twice_gives_the_same_bytes(basic: Study, tmp_path: Path) -> None:
    first, second = (write_study(basic, tmp_path / name, "zh") for name in ("one", "two"))
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name


def test_tables_of_an_earlier_run_do_not_stay_and_other_files_do(basic: Study, tmp_path: Path) -> None:
    write_study(basic, tmp_path)
    (tmp_path / "tables" / "mine.csv").write_text("a\n", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    write_study(replace(basic, sections=basic.sections[:1]), tmp_path)
    assert sorted(file.name for file in (tmp_path / "tables").iterdir()) == ["mine.csv", "panel.csv"]
    assert (tmp_path / "notes.txt").is_file()
    assert not list((tmp_path / "figures").iterdir())


@pytest.mark.heavy
@pytest.mark.parametrize("name", OWN)
def test_results_do_not_depend_on_the_order_of_sets(name: str, folder: Path) -> None:
    code = (
        "import json, sys; from medfloor.studies import run_study; "
        f"print(json.dumps(run_study({name!r}, sys.argv[1]).to_dict(), default=str))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("0", "4242")
    ]  # fmt: skip
    assert told[0] == told[1]
