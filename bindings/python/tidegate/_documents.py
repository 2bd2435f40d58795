# SPDX-License-Identifier: MIT
"""Policies and requests as they are given, made what the core takes. It imports little: connect
needs it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Union

from ._errors import ConfigError

PolicyDocument = Union[str, "os.PathLike[str]", Mapping[str, Any]]
Document = Union[str, Mapping[str, Any]]


def dumped(document: Document) -> str:
    """A document as JSON text; a text is taken as it is."""
    if isinstance(document, str):
        return document
    if not isinstance(document, Mapping):
        raise TypeError(f"document: expected a mapping or a text, not {type(document).__name__}")
    import json

    return json.dumps(document, allow_nan=False, default=_stamped)


def _stamped(value: object) -> str:
    from datetime import datetime

    if isinstance(value, datetime):
        from ._policy import until_of

        return until_of(value, 0)
    raise TypeError(f"document: expected what JSON can say, not {type(value).__name__}")


def source_of(policy: PolicyDocument) -> tuple[str, str]:
    """(text, file), one of them empty."""
    if isinstance(policy, os.PathLike):
        return "", os.fspath(policy)
    if isinstance(policy, str) and "\n" not in policy and not policy.lstrip().startswith("{"):
        if not policy:
            raise ConfigError("policy '': expected a path, a text or a mapping")
        return "", policy
    if not isinstance(policy, (str, Mapping)):
        raise TypeError(
            f"policy: expected a path, a text or a mapping, not {type(policy).__name__}"
        )
    return dumped(policy), ""


def text_of(policy: PolicyDocument) -> str | bytes:
    """A policy's text; a file is read."""
    text, file = source_of(policy)
    if not file:
        return text
    with open(file, "rb") as opened:
        return opened.read()


def pairs_of(attributes: Mapping[str, Any] | None, more: Mapping[str, Any] = {}) -> list[Any]:
    """Attributes as the core takes them; what values may be it checks itself."""
    if attributes is None:
        return list(more.items())
    if not isinstance(attributes, Mapping):
        raise TypeError(f"attributes: expected a mapping, not {type(attributes).__name__}")
    return [*attributes.items(), *more.items()]
