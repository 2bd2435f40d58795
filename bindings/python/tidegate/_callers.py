# SPDX-License-Identifier: MIT
"""Who a caller says he is: what a `key` callable may answer."""

from __future__ import annotations


def identity_of(identity: object) -> str | bytes:
    """An identity for tg_caller_key; "" where there is none: None, False, 0, or anything empty.

    Lone surrogates are kept apart as what their bytes would be: whoever sends them is a caller
    like any other.
    """
    if not identity:
        return ""
    if isinstance(identity, str):
        return identity if identity.isascii() else identity.encode("utf-8", "surrogatepass")
    if isinstance(identity, bytes):
        return identity
    if isinstance(identity, int) and not isinstance(identity, bool):
        return int.__repr__(identity)
    shown = f" {identity!r}" if isinstance(identity, (bool, float)) else ""
    raise TypeError(
        f"identity{shown}: expected a str, bytes or an int, or nothing for the address, not "
        f"{type(identity).__name__}"
    )
