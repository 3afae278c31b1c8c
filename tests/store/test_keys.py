"""Encipher, find again, rotate; and let no key or name out."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import StoreError, UsageError
from medfloor.store import schema
from medfloor.store.engine import Store
from medfloor.store.identity import birth_date_of, is_identity, mask_identity, normalise_identity
from medfloor.store.keys import Keyring, keyring_from, new_keys, ring_from_text, write_keys
from medfloor.store.rotation import check_keys, rotate

NUMBER = "11010519491231002X"


@settings(max_examples=25)
@given(text=st.text(max_size=200))
def test_what_is_enciphered_can_be_read_and_is_never_the_same(text: str) -> None:
    ring = new_keys()
    assert ring.decrypt(ring.encrypt(text)) == text
    assert ring.encrypt(text) != ring.encrypt(text)


def test_a_changed_cipher_and_a_foreign_key_are_refused() -> None:
    ring = new_keys()
    sealed = ring.encrypt("张三丰")
    broken = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for ours, theirs in ((ring, broken), (ring, b""), (ring, b"\x02" + sealed[1:])):
        with pytest.raises(StoreError) as refused:
            ours.decrypt(theirs)
        assert refused.value.code == "cipher_broken"
    with pytest.raises(StoreError) as refused:
        new_keys().decrypt(sealed)
    assert refused.value.code == "key_missing"


def test_the_repr_of_a_ring_shows_no_secret() -> None:
    ring = new_keys()
    assert str(ring.secrets[ring.active]) not in repr(ring)
    assert "secrets" not in repr(ring)


def test_a_number_is_found_in_all_its_spellings_and_only_with_the_key() -> None:
    ring = new_keys()
    same = {ring.lookup(text) for text in (NUMBER, NUMBER.lower(), " 110105 1949 1231 002X", "１１０１０５491231002")}
    assert len(same) == 1
    assert len(ring.lookup(NUMBER)) <= 64
    assert ring.lookup(NUMBER) != new_keys().lookup(NUMBER)
    assert ring.pseudonym("p1", purpose="a") != ring.pseudonym("p1", purpose="b")


def test_identity_numbers_are_checked_and_masked() -> None:
    assert is_identity(NUMBER)
    assert not is_identity("110105194912310021")
    assert not is_identity("110105194913310028")
    assert birth_date_of("110105194913310028") is None
    assert birth_date_of("x") is None
    assert "1949" not in mask_identity(NUMBER)
    assert normalise_identity("E 123") == "E123"


def test_keys_are_read_from_a_file_a_variable_and_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ring = new_keys()
    with pytest.raises(UsageError) as refused:
        keyring_from({})
    assert refused.value.code == "no_keys"
    write_keys("medfloor.keys", ring)
    for environment in ({}, {"MEDFLOOR_KEYS_FILE": "medfloor.keys"}, {"MEDFLOOR_KEYS": ring.text()}):
        assert keyring_from(environment) == ring
    assert keyring_from({}, file=tmp_path / "medfloor.keys") == ring


def test_a_keys_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    ring = new_keys()
    write_keys(path, ring)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError) as refused:
        write_keys(path, new_keys())
    assert refused.value.code == "keys_exist"
    assert keyring_from({}, file=path) == ring
    assert os.listdir(tmp_path) == ["keys"]
    path.chmod(0o644)
    with pytest.raises(UsageError) as refused:
        keyring_from({}, file=path)
    assert refused.value.code == "keys_open"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"active": "00", "keys": {"00": "AA=="}}', '{"active": "00000000", "keys": {}}', "\x00"],
)
def test_what_is_no_keys_file_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        ring_from_text(text)
    assert refused.value.code == "bad_keys"


def test_a_message_about_keys_holds_none_of_them() -> None:
    told = json.loads(new_keys().text())
    told["active"] = "ffffffff"
    with pytest.raises(UsageError) as refused:
        ring_from_text(json.dumps(told))
    assert not any(secret in refused.value.message for secret in told["keys"].values())


# --- Rotation


def fill(store: Store, ring: Keyring, now: object) -> None:
    with store.writing() as connection:
        for place in range(3):
            number = f"P{place}"
            connection.execute(
                schema.person.insert().values(
                    person_id=f"p{place}",
                    identity_cipher=ring.encrypt(number),
                    identity_lookup=ring.lookup(number),
                    name_cipher=ring.encrypt("张三丰"),
                    created_at=now,
                )
            )
        connection.execute(schema.person.insert().values(person_id="p9", created_at=now))
        connection.execute(
            schema.import_run.insert().values(
                id=1, kind="people", source="civil_affairs", content_hash="x", started_at=now, recorded_by="a"
            )
        )
        connection.execute(
            schema.import_reject.insert().values(
                import_id=1, row=1, reason="bad", detail="bad", sealed_row=ring.seal_row({"name": "李四"})
            )
        )


def test_a_rotation_brings_every_value_to_the_new_key(store: Store, now: object) -> None:
    ring = new_keys()
    fill(store, ring, now)
    coming = ring.with_coming()
    assert coming.with_coming() is coming
    assert rotate(store, coming) == 7
    turned = coming.turned()
    report = check_keys(store, turned)
    assert report.whole
    assert report.values == {turned.active: 7}
    with store.reading() as connection:
        person = schema.person
        found = connection.execute(sa.select(person.c.person_id).where(person.c.identity_lookup == turned.lookup("P1")))
        assert found.scalar_one() == "p1"
        sealed = connection.execute(sa.select(schema.import_reject.c.sealed_row)).scalar_one()
    assert turned.open_row(sealed) == {"name": "李四"}
    assert not check_keys(store, ring).whole
    # Only the new key is needed for what is in the store.
    assert check_keys(store, replace(turned, secrets={turned.active: turned.secrets[turned.active]})).whole


def test_a_rotation_with_a_lost_key_changes_nothing(store: Store, now: object) -> None:
    ring = new_keys()
    fill(store, ring, now)
    with pytest.raises(StoreError) as refused:
        rotate(store, new_keys().with_coming())
    assert refused.value.code == "key_missing"
    assert check_keys(store, ring).whole
    other = check_keys(store, new_keys())
    assert (other.missing, other.broken, other.lookups_of_other_keys) == ([ring.active], 7, 3)
