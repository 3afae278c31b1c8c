"""The catalogues of words: two languages, the same keys, the same placeholders."""

from __future__ import annotations

import json
import string
import subprocess
import sys
from typing import get_args

import pytest

from medfloor.errors import UsageError
from medfloor.policy import model
from medfloor.words import LANGS, catalogue, say


def _placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def test_both_catalogues_have_the_same_keys_in_the_same_order() -> None:
    assert list(catalogue("zh")) == list(catalogue("en"))


def test_each_sentence_has_the_same_placeholders_in_both_languages() -> None:
    # One test of all: as a test each, the thousands of sentences took longer to list than to compare.
    chinese, english = catalogue("zh"), catalogue("en")
    differ = [key for key in english if _placeholders(chinese[key]) != _placeholders(english[key])]
    assert not differ


@pytest.mark.parametrize("lang", LANGS)
def test_every_code_of_the_data_contract_has_a_word(lang: str) -> None:
    codes = {
        "care_type": get_args(model.CareType),
        "facility_level": get_args(model.FacilityLevel),
        "area": get_args(model.Area),
        "referral": get_args(model.Referral),
        "scheme": get_args(model.Scheme),
        "insured_class": get_args(model.InsuredClass),
        "residence": get_args(model.Residence),
        "sex": get_args(model.Sex),
        "group": model.GROUPS,
        "pool": get_args(model.Pool),
        "trust": get_args(model.Trust),
        "status_day": get_args(model.StatusDay),
    }
    for section, names in codes.items():
        for name in names:
            assert say(f"{section}.{name}", lang)
    for unit in get_args(model.Unit):
        assert "5" in say(f"value.{unit}", lang, value=5)


@pytest.mark.parametrize("lang", LANGS)
def test_a_sentence_is_found_without_reading_the_other_files(lang: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FIRST_OF_EACH, lang], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    told = json.loads(done.stdout)
    assert told["found"] == [[key, catalogue(lang)[key]] for key, _ in told["found"]]
    assert {key.partition(".")[0] for key, _ in told["found"]} == {key.partition(".")[0] for key in catalogue(lang)}
    assert told["read"] < len(catalogue(lang)) / 10
    assert not told["nowhere"]


_FIRST_OF_EACH = """
import json, sys
from medfloor import words
lang = sys.argv[1]
words.say("care_type.inpatient", lang)
read = len(words._said(lang)[0])
nowhere = words.knows("show.nowhere", lang) or words.knows("nowhere.show", lang)
found = [["care_type.inpatient", words.say("care_type.inpatient", lang)]]
for section in dict.fromkeys(key.partition(".")[0] for key in words.catalogue(lang)):
    key = next(key for key in words.catalogue(lang) if key.startswith(section + "."))
    found.append([key, words._sentence(key, lang)])
print(json.dumps({"found": found, "read": read, "nowhere": nowhere}))
"""
"""Say one sentence, count what was read, and say the first of every section."""


def test_a_missing_key_or_placeholder_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"catalogues/en has show\.nowhere"):
        say("show.nowhere", "en")
    with pytest.raises(KeyError):
        say("value.yuan", "en")


def test_an_unknown_language_is_misuse() -> None:
    with pytest.raises(UsageError, match="use zh or en"):
        say("care_type.inpatient", "fr")
