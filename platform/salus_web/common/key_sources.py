"""Where master keys come from: a private file, the environment, or a command that asks a key service. Knows no Django.

No sentence of an error holds any part of a key.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# a container engine mounts secrets here for the container's one user, with modes of its own
MOUNTED_SECRETS = Path("/run/secrets")
COMMAND_SECONDS = 20.0
_NAME = re.compile(r"[A-Za-z0-9._-]{1,32}")
_KEY = re.compile(r"[0-9a-fA-F]{64}")


class KeyTrouble(ValueError):
    """A key cannot be had; the sentence says which and why, never what it is."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """Master keys by name (64 hexadecimal digits each) and the name of the one that seals from now on."""

    keys: Mapping[str, str]
    current: str
    index_key: str = ""

    def __repr__(self) -> str:
        return f"KeySet({', '.join(sorted(self.keys))}; current {self.current})"


def read_private(path: Path) -> str:
    """The text of a file that nobody but its owner may read. Raises KeyTrouble when others may."""
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO) and MOUNTED_SECRETS not in path.parents:
            raise KeyTrouble(
                f"{path} can be read by other users of this machine (mode {stat.S_IMODE(mode):o}). "
                f"Run: chmod 600 {path}"
            )
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyTrouble(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}.") from None


def key_set_from(text: str, *, where: str, current: str = "") -> KeySet:
    """Read `{"current": …, "keys": {name: hex}}`, the laptop's file, or a plain `{name: hex}` whose current is given.

    Raises KeyTrouble for anything that is not whole, strong and named.
    """
    try:
        said: Any = json.loads(text)
    except ValueError:
        raise KeyTrouble(f"{where} is not JSON.") from None
    if not isinstance(said, dict):
        raise KeyTrouble(f"{where} is not a table of keys.")
    keys = said.get("keys", said.get("data_keys", said))
    chosen = current or said.get("current", said.get("current_data_key", ""))
    if not isinstance(keys, dict) or not keys:
        raise KeyTrouble(f"{where} holds no keys.")
    for name, key in keys.items():
        if not _NAME.fullmatch(name):
            raise KeyTrouble(f"{where} names a key with other signs than letters, digits, dot, line and dash (at most 32).")
        if not isinstance(key, str) or not _KEY.fullmatch(key) or len(set(key)) < 6:
            raise KeyTrouble(f"The key {name} of {where} is not 64 random hexadecimal digits.")
    if current and current not in keys:
        raise KeyTrouble(f"SALUS_CURRENT_DATA_KEY does not name one of {where}.")
    if not isinstance(chosen, str) or chosen not in keys:
        raise KeyTrouble(f"{where} does not say which of its keys is the current one.")
    index_key = said.get("index_key", "") if keys is not said else ""
    return KeySet(dict(keys), chosen, index_key if isinstance(index_key, str) else "")


@dataclass(frozen=True, slots=True)
class EnvironmentKeys:
    """Keys given to the process when it started; another key needs another start."""

    text: str
    current: str = ""
    fresh_for: float = float("inf")

    def read(self) -> KeySet:
        """The keys. Raises KeyTrouble."""
        return key_set_from(self.text, where="SALUS_DATA_KEYS", current=self.current)

    def stamp(self) -> Any:
        """What changes when the keys may have changed."""
        return None

    def __repr__(self) -> str:
        return "EnvironmentKeys()"


@dataclass(frozen=True, slots=True)
class FileKeys:
    """Keys in a private file; running processes see a new one within five seconds."""

    path: Path
    current: str = ""
    fresh_for: float = 5.0

    def read(self) -> KeySet:
        """The keys. Raises KeyTrouble."""
        return key_set_from(read_private(self.path), where=str(self.path), current=self.current)

    def stamp(self) -> Any:
        """What changes when the file was replaced."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ino, found.st_size)


@dataclass(frozen=True, slots=True)
class CommandKeys:
    """Keys that a command prints as JSON, such as a client of a key service. No shell; asked again every minute."""

    arguments: tuple[str, ...]
    seconds: float = COMMAND_SECONDS
    fresh_for: float = 60.0

    def read(self) -> KeySet:
        """Ask. Raises KeyTrouble; what the command printed is in no sentence, because it may be a key."""
        try:
            done = subprocess.run(
                self.arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=self.seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise KeyTrouble(f"The key command did not answer within {self.seconds:g} seconds.") from None
        except OSError as error:
            raise KeyTrouble(f"The key command cannot be started: {error.strerror}.") from None
        if done.returncode != 0:
            raise KeyTrouble(f"The key command ended with status {done.returncode}. Run it by hand to see why.")
        try:
            text = done.stdout.decode()
        except UnicodeDecodeError:
            raise KeyTrouble("The answer of the key command is not JSON.") from None
        return key_set_from(text, where="The answer of the key command")

    def stamp(self) -> Any:
        """A command is asked each time."""
        return object()


KeySource = EnvironmentKeys | FileKeys | CommandKeys


def key_source(environment: Mapping[str, str]) -> KeySource:
    """Where production's keys come from: SALUS_KEY_COMMAND, SALUS_DATA_KEYS_FILE or SALUS_DATA_KEYS. Raises KeyTrouble."""
    command, file = environment.get("SALUS_KEY_COMMAND", ""), environment.get("SALUS_DATA_KEYS_FILE", "")
    text, current = environment.get("SALUS_DATA_KEYS", ""), environment.get("SALUS_CURRENT_DATA_KEY", "")
    if command:
        return CommandKeys(_arguments(command))
    if text:
        return EnvironmentKeys(text, current)
    if file:
        return FileKeys(Path(file), current)
    raise KeyTrouble("SALUS_DATA_KEYS (or SALUS_DATA_KEYS_FILE) is not set. Production does not start without it.")


def _arguments(command: str) -> tuple[str, ...]:
    """A JSON list of words, or words as a shell would part them; no shell ever runs them."""
    try:
        words = json.loads(command) if command.lstrip().startswith("[") else shlex.split(command)
    except ValueError:
        words = []
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise KeyTrouble("SALUS_KEY_COMMAND is not a command with its arguments.")
    if not os.path.isabs(words[0]):
        raise KeyTrouble("SALUS_KEY_COMMAND must name its program by the whole path, beginning with a slash.")
    return tuple(words)


def add_key(path: Path) -> str:
    """Add a new master key to a private key file and make it the current one; returns its name. Raises KeyTrouble.

    The file is replaced whole, so that a process that reads it meanwhile finds the old one or the new one.
    """
    text = read_private(path)
    key_set_from(text, where=str(path))
    said = json.loads(text)
    names = ("data_keys", "current_data_key") if "data_keys" in said else ("keys", "current")
    if names[0] not in said:
        raise KeyTrouble(f"{path} is a plain list of keys; the current one is named in the environment. Add the new key by hand.")
    taken = said[names[0]]
    name = next(f"k{number}" for number in range(len(taken) + 1, 2 * len(taken) + 2) if f"k{number}" not in taken)
    said[names[0]], said[names[1]] = taken | {name: secrets.token_hex(32)}, name
    half = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            json.dump(said, stream)
            stream.flush()
            os.fsync(stream.fileno())
        half.replace(path)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise KeyTrouble(f"{path} cannot be written: {error.strerror}. Add the new key where the file is made.") from None
    return name
