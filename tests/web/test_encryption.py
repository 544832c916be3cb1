"""Sealing: each value opens in its own place with its own key only; keys come from private places; indexes do not mix."""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from salus_web.common import keyring, keys, vault
from salus_web.common.encryption import blind_index, key_name, seal, unseal
from salus_web.common.errors import IntegrityBroken
from salus_web.common.key_sources import CommandKeys, FileKeys, KeyTrouble, add_key, key_set_from, key_source
from salus_web.config.keyfile import load_or_make_keys

# fixed, because workers of one test run must agree on the names of the cases
ANNA, BEN = "person:01900000-0000-7000-8000-00000000000a", "person:01900000-0000-7000-8000-00000000000b"
PLACES = [f"{table}.{column}.{row}" for table in ("t1", "t2") for column in ("a", "b") for row in ("1", "2")]
places = st.sampled_from(PLACES)
owners = st.sampled_from(["", ANNA, BEN])
unhurried = hypothesis_settings(deadline=None)
ONE, TWO = secrets.token_hex(32), secrets.token_hex(32)


def key_file(folder: Path, body: Any, mode: int = 0o600) -> Path:
    path = folder / "keys"
    path.write_text(json.dumps(body))
    path.chmod(mode)
    return path


@unhurried
@given(plain=st.binary(max_size=300), place=places, owner=owners)
def test_a_value_opens_in_its_own_place(plain: bytes, place: str, owner: str) -> None:
    assert unseal(seal(plain, bound_to=place, owner=owner), bound_to=place) == plain


@unhurried
@given(place=places, other=places, owner=owners)
def test_a_value_moved_to_another_row_column_or_table_does_not_open(place: str, other: str, owner: str) -> None:
    sealed = seal(b"Jane", bound_to=place, owner=owner)
    if place != other:
        with pytest.raises(IntegrityBroken):
            unseal(sealed, bound_to=other)


@unhurried
@given(owner=owners, at=st.integers(0, 60), bit=st.integers(0, 7))
def test_no_changed_bit_goes_unseen(owner: str, at: int, bit: int) -> None:
    sealed = bytearray(seal(b"Jane Elisabeth Doe", bound_to="t.a.1", owner=owner))
    sealed[at % len(sealed)] ^= 1 << bit
    with pytest.raises(IntegrityBroken):
        unseal(bytes(sealed), bound_to="t.a.1")


@unhurried
@given(owner=owners, keep=st.integers(0, 61))
def test_a_value_cut_short_does_not_open(owner: str, keep: int) -> None:
    sealed = seal(b"Jane Elisabeth Doe", bound_to="t.a.1", owner=owner)
    with pytest.raises(IntegrityBroken):
        unseal(sealed[: min(keep, len(sealed) - 1)], bound_to="t.a.1")


@unhurried
@given(st.binary(max_size=80))
def test_noise_is_refused_in_words(noise: bytes) -> None:
    with pytest.raises(IntegrityBroken):
        unseal(noise, bound_to="t.a.1")


def test_the_name_of_another_persons_key_does_not_open_a_value() -> None:
    hers, his = (seal(b"Jane", bound_to="t.a.1", owner=owner) for owner in (ANNA, BEN))
    assert key_name(hers) != key_name(his)
    with pytest.raises(IntegrityBroken):
        unseal(his[:17] + hers[17:], bound_to="t.a.1")


def blob_path(key: str) -> Path:
    return Path(vault.storages["vault"].path(f"{key[:2]}/{key}"))


@pytest.fixture(params=["", ANNA])
def blob(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> vault.BlobRef:
    """A blob of three segments, the last one short."""
    monkeypatch.setattr(vault, "SEGMENT_BYTES", 64)
    return vault.put(bytes(range(150)), owner=request.param)


def segments(key: str) -> list[bytes]:
    body, found, at = blob_path(key).read_bytes(), [], 0
    while at < len(body):
        size = 4 + int.from_bytes(body[at : at + 4], "big")
        found.append(body[at : at + size])
        at += size
    return found


def test_a_blob_whose_segments_were_moved_left_out_or_repeated_does_not_open(blob: vault.BlobRef) -> None:
    one, two, three = whole = segments(blob.key)
    for wrong in ([two, one, three], [one, two], [one, three], [*whole, three], [two, three], [], [one, one, three]):
        blob_path(blob.key).write_bytes(b"".join(wrong))
        with pytest.raises(IntegrityBroken):
            vault.get(blob.key, sha256=blob.sha256)
    blob_path(blob.key).write_bytes(b"".join(whole))
    assert vault.get(blob.key, sha256=blob.sha256) == bytes(range(150))


def test_a_blob_cut_anywhere_does_not_open(blob: vault.BlobRef) -> None:
    whole = blob_path(blob.key).read_bytes()
    for end in range(len(whole)):
        blob_path(blob.key).write_bytes(whole[:end])
        with pytest.raises(IntegrityBroken):
            vault.get(blob.key, sha256=blob.sha256)


def test_another_blob_or_its_segment_in_a_blobs_place_does_not_open(blob: vault.BlobRef) -> None:
    owner = ANNA if key_name(segments(blob.key)[0][4:]).owned else ""
    other = vault.put(bytes(range(150)), owner=owner)  # the same bytes under the same key
    one, _, three = segments(blob.key)
    for wrong in (segments(other.key), [one, segments(other.key)[1], three]):
        blob_path(blob.key).write_bytes(b"".join(wrong))
        with pytest.raises(IntegrityBroken):
            vault.get(blob.key, sha256=blob.sha256)


def test_an_older_blob_of_the_same_place_is_not_taken_for_the_new_one(blob: vault.BlobRef) -> None:
    newer = vault.hashlib.sha256(b"what the row names now").hexdigest()
    with pytest.raises(IntegrityBroken, match="not the one that was stored"):
        vault.get(blob.key, sha256=newer)


def test_sealing_a_blob_anew_keeps_its_bytes_and_changes_its_key(blob: vault.BlobRef) -> None:
    before = vault.sealed_with(blob.key)
    vault.reseal(blob.key, owner=BEN)
    assert vault.get(blob.key, sha256=blob.sha256) == bytes(range(150))
    assert vault.sealed_with(blob.key) != before and vault.sealed_with(blob.key).owned
    assert [path.name for path in blob_path(blob.key).parent.glob("*resealing")] == []


@unhurried
@given(st.text(min_size=1, max_size=20))
def test_equal_values_of_two_purposes_do_not_match(value: str) -> None:
    assert blind_index(value, purpose="mrn") != blind_index(value, purpose="name")
    assert blind_index(value, purpose="mrn") == blind_index(f" {value} ", purpose="mrn")


def test_only_record_numbers_and_words_of_names_have_a_blind_index(repository_root: Path) -> None:
    purposes = set()
    for source in (repository_root / "platform").rglob("*.py"):
        if source.name != "encryption.py":
            purposes |= {part.split('purpose="')[1].split('"')[0] for part in source.read_text().split("blind_index(")[1:] if 'purpose="' in part[:90]}
    assert purposes == {"mrn", "name", "number in a case table"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(KeyTrouble, match="can be read by other users"):
        FileKeys(key_file(tmp_path, {"keys": {"k1": ONE}, "current": "k1"}, mode)).read()


def test_the_laptops_keys_are_made_private_and_refused_when_opened_up(tmp_path: Path) -> None:
    made = load_or_make_keys(tmp_path)
    path = tmp_path / "keys.json"
    assert path.stat().st_mode & 0o777 == 0o600 and load_or_make_keys(tmp_path) == made
    assert [found.name for found in tmp_path.iterdir()] == ["keys.json"]
    path.chmod(0o644)
    with pytest.raises(KeyTrouble, match="chmod 600"):
        load_or_make_keys(tmp_path)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a table of keys"),
        ({"keys": {}, "current": "k1"}, "holds no keys"),
        ({"keys": {"k1": ONE[:-2]}, "current": "k1"}, "is not 64 random hexadecimal digits"),
        ({"keys": {"k1": "0" * 64}, "current": "k1"}, "is not 64 random hexadecimal digits"),
        ({"keys": {"k 1": ONE}, "current": "k 1"}, "names a key with other signs"),
        ({"keys": {"k1": ONE}, "current": "k2"}, "does not say which of its keys is the current one"),
        ({"k1": ONE}, "does not say which of its keys is the current one"),
    ],
)
def test_keys_that_are_not_whole_are_refused_without_being_told(said: Any, sentence: str) -> None:
    with pytest.raises(KeyTrouble, match=sentence) as refusal:
        key_set_from(said if isinstance(said, str) else json.dumps(said), where="The file")
    assert ONE[:-2] not in str(refusal.value)


def command(script: str, seconds: float = 20.0) -> CommandKeys:
    return CommandKeys((sys.executable, "-c", script), seconds=seconds)


def test_a_command_gives_keys_without_a_shell() -> None:
    body = json.dumps({"keys": {"k1": ONE, "k2": TWO}, "current": "k2", "index_key": TWO})
    found = CommandKeys((sys.executable, "-c", "import sys; print(sys.argv[1])", body)).read()
    assert (found.current, found.keys["k1"], found.index_key) == ("k2", ONE, TWO)
    assert ONE not in repr(found)
    literal = CommandKeys(("/bin/echo", "$(echo hidden)"))
    with pytest.raises(KeyTrouble, match="is not JSON"):
        literal.read()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (command(f"import sys; print('{ONE}'); print('{ONE}', file=sys.stderr); sys.exit(3)"), "ended with status 3"),
        (command(f"print('{ONE}')"), "is not JSON"),
        (command("import sys; sys.stdout.buffer.write(bytes([255, 254]))"), "is not JSON"),
        (command("import time; time.sleep(5)", seconds=0.3), "did not answer within 0.3 seconds"),
        (CommandKeys(("/no/such/program",)), "cannot be started"),
    ],
)
def test_a_command_that_fails_says_so_without_what_it_printed(source: CommandKeys, sentence: str) -> None:
    with pytest.raises(KeyTrouble, match=sentence) as refusal:
        source.read()
    assert ONE not in str(refusal.value) and refusal.value.__cause__ is None


def test_where_keys_come_from_in_production(tmp_path: Path) -> None:
    assert key_source({"SALUS_KEY_COMMAND": '["/bin/kms", "get key"]', "SALUS_DATA_KEYS": "{}"}) == CommandKeys(("/bin/kms", "get key"))
    assert key_source({"SALUS_KEY_COMMAND": "/bin/kms 'get key'"}) == CommandKeys(("/bin/kms", "get key"))
    assert key_source({"SALUS_DATA_KEYS_FILE": "/x", "SALUS_CURRENT_DATA_KEY": "k1"}) == FileKeys(Path("/x"), "k1")
    for wrong in ("kms get", "[]", "'", '["/bin/kms", 1]'):
        with pytest.raises(KeyTrouble):
            key_source({"SALUS_KEY_COMMAND": wrong})
    with pytest.raises(KeyTrouble, match="is not set"):
        key_source({})


def test_a_running_process_sees_a_new_key_at_once_where_it_needs_it(tmp_path: Path, settings: Any) -> None:
    path = key_file(tmp_path, {"keys": {"k1": ONE}, "current": "k1"})
    settings.SALUS_KEY_SOURCE = FileKeys(path)
    assert key_name(seal(b"a", bound_to="t.a.1")).master == "k1"
    assert add_key(path) == "k2" and path.stat().st_mode & 0o777 == 0o600
    said = json.loads(path.read_text())
    other = keys.derived(said["keys"]["k2"], "data")  # another process seals with it already
    nonce = os.urandom(12)
    sealed = b"\x02k2" + nonce + keyring.AESGCM(other).encrypt(nonce, b"new", b"t.a.1")
    keys._held = keys._Held(**{name: getattr(keys._held, name) for name in ("source", "keys", "stamp", "fresh_until")}, read_at=0.0)
    assert unseal(sealed, bound_to="t.a.1") == b"new"
    assert key_name(seal(b"a", bound_to="t.a.1")).master == "k2"


def test_keys_that_cannot_be_read_for_a_moment_are_not_forgotten(tmp_path: Path, settings: Any) -> None:
    path = key_file(tmp_path, {"keys": {"k1": ONE}, "current": "k1"})
    settings.SALUS_KEY_SOURCE = FileKeys(path, fresh_for=0.0)
    sealed = seal(b"a", bound_to="t.a.1")
    path.unlink()
    keys._held = keys._Held(**{name: getattr(keys._held, name) for name in ("source", "keys", "stamp", "fresh_until")}, read_at=0.0)
    assert unseal(sealed, bound_to="t.a.1") == b"a"
