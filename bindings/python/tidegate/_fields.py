# SPDX-License-Identifier: MIT
"""Header fields of a response, beside those that the application sends itself."""

from __future__ import annotations

from collections.abc import Iterable

Field = tuple[bytes, bytes]
LISTS = (b"ratelimit-policy", b"ratelimit")


def family(name: bytes) -> bytes:
    """Fields that are told together or not at all."""
    name = bytes(name).lower()
    if name in LISTS:
        return LISTS[0]
    return b"x-ratelimit" if name.startswith(b"x-ratelimit-") else name


def with_fields(headers: Iterable[Field], fields: list[Field]) -> list[Field]:
    """A response's header fields and ours. What the application says itself stands, and ours of
    that family are left out: no field is there twice, with two meanings."""
    out = list(headers)
    there = {family(name) for name, _ in out if name[:1] in b"rxRX"}  # all of ours begin so
    if not there:
        return [*out, *fields]
    return [*out, *(field for field in fields if family(field[0]) not in there)]
