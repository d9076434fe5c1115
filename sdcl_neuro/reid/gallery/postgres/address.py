"""Addresses of galleries in PostgreSQL; a secret never stands in one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from sdcl_neuro.errors import InputError

DEFAULT = "sdcl_neuro"
"""Name of the gallery where an address gives none."""
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,47}")  # PostgreSQL cuts names at 63 bytes
_SECRETS = ("password", "sslpassword")


@dataclass(frozen=True)
class Address:
    """A gallery in a database.

    Attributes:
        conninfo: what libpq connects to; passwords come from its environment and files.
        name: of the gallery, a schema of the database.
        shown: the address as given, without any secret.
    """

    conninfo: str
    name: str
    shown: str


def parse_address(text: str) -> Address:
    """Split an address into what libpq takes and the gallery's name.

    Args:
        text: ``postgresql://[USER@]HOST[:PORT]/DATABASE[?gallery=NAME&OPTION=VALUE...]``, the
            options being libpq's.

    Raises:
        InputError: a password in it, which would be seen in lists of processes and in reports; a
            gallery's name that is not plain.
    """
    parts = urlsplit(text)
    options = parse_qsl(parts.query, keep_blank_values=True)
    account, separator, host = parts.netloc.rpartition("@")
    user, _, password = account.partition(":")
    if password or any(key in _SECRETS for key, _ in options):
        shown = urlunsplit(parts._replace(netloc=f"{user}{separator}{host}", query=""))
        raise InputError(
            "a password in the address of a gallery",
            where=shown,
            hint="set PGPASSWORD, or write it to ~/.pgpass or a service file",
        )
    names = [value for key, value in options if key == "gallery"] or [DEFAULT]
    if len(names) > 1 or not _NAME.fullmatch(names[0]):
        raise InputError(
            f"gallery name {names[-1]!r}",
            where=text,
            hint="give one name of lower-case letters, digits and _, at most 48",
        )
    # libpq reads "+" as itself.
    others = [(key, value) for key, value in options if key != "gallery"]
    kept = urlencode(others, quote_via=quote)
    conninfo = f"{parts.scheme}://{parts.netloc}{parts.path}{'?' if kept else ''}{kept}"
    return Address(conninfo, names[0], text)
