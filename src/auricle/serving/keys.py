"""Who may ask: API keys, compared without telling how much of one was right."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

from auricle.errors import AuricleError
from auricle.serving.problems import Problem
from auricle.serving.settings import Settings

_SHORTEST = 8
PROTOCOL = "auricle"
"""The WebSocket subprotocol of live captions."""
_KEY_PROTOCOL = "auricle-key."
ANYONE = "anyone"
"""The owner of what was asked without a key, on a server that wants none."""


class KeyRing:
    """The keys that open the API. They are kept as SHA-256 digests; a digest's beginning names the owner of a job."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key) for key in keys]

    @property
    def is_open(self) -> bool:
        """Whether anyone may ask."""
        return not self._digests

    def owner(self, key: str | None) -> str:
        """Return a name for whoever holds the key. Raises Problem 401 for a wrong one, or none where one is needed."""
        if self.is_open:
            return ANYONE
        digest = _digest(key or "")
        # Every digest is compared to its end, whether or not an earlier one was the right one.
        if not sum([hmac.compare_digest(digest, known) for known in self._digests]):
            message = "This server wants an API key: send the header 'Authorization: Bearer KEY' with one it knows."
            raise Problem(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
        return digest.hex()[:32]


def key_ring(settings: Settings) -> KeyRing:
    """Return the ring of all keys. Raises AuricleError for a file or a key that cannot be one."""
    return KeyRing(keys_of(settings))


def keys_of(settings: Settings) -> list[str]:
    """Return the keys of the settings and of their file. Raises AuricleError for a file or a key that cannot be one."""
    keys = [secret.get_secret_value() for secret in settings.api_keys]
    if settings.api_keys_file is not None:
        keys += _read(settings.api_keys_file)
    if any(len(key) < _SHORTEST or not key.isascii() or not key.isprintable() for key in keys):
        raise AuricleError(f"an API key has fewer than {_SHORTEST} characters, or odd ones: make longer, plain keys.")
    return keys


def bearer(authorization: str | None) -> str | None:
    """Return the key in an Authorization header."""
    scheme, _, key = (authorization or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def offered_key(protocols: Iterable[str]) -> str | None:
    """Return the key that a page offers as a WebSocket's subprotocol, `auricle-key.` and its base64url, or nothing.

    A page can give a WebSocket no header; an address, which a proxy would log, is no place for a key.
    """
    for name in protocols:
        if name.startswith(_KEY_PROTOCOL):
            coded = name.removeprefix(_KEY_PROTOCOL)
            try:
                return base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode()
            except ValueError:
                return None
    return None


def _read(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise AuricleError(
            f"{path} cannot be read: api_keys_file has to name a file with a key on each line."
        ) from error
    keys = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not keys:
        raise AuricleError(f"{path} holds no key: write one on each line, or leave api_keys_file out.")
    return keys


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
