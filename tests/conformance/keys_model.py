# SPDX-License-Identifier: MIT
"""Keys of the cache: the bytes by which every language names the same entry.

The yardstick for the core, as model.py is for limits: it is slow, and nothing in the product may import it.

    part       the length in 4 bytes, big-endian, then the bytes. An empty part is 00 00 00 00; an absent one is FF FF FF FF
               with nothing after it, a length that no part has. So absent and empty are never the same.
    preimage   01 · part(cache) · part(scope) · key parts
    key parts  request_key: part("request") · method · route · provider · model · headers · body kind · left out · body
               key:         part("call") · one part for each argument
    digest     SHA-256 of the preimage. All 32 bytes are kept in the entry and compared; the first 16, in lower-case hex,
               are its name in the store.

A part that holds several things (headers, left out, lists, maps) is made of parts in turn, so a preimage can be read back in
one way only. Text is UTF-8 and never normalised; a lone surrogate is an error. Names are ordered by their UTF-16 code units,
in JSON and everywhere else.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Set
from fractions import Fraction

VERSION = b"\x01"
ABSENT = b"\xff\xff\xff\xff"
MAX_DEPTH = 64                      # arrays and objects, or lists and maps, inside one another
LEAVE_OUT = frozenset({"stream_options", "user", "metadata"})
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")                      # of a cache
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")              # of HTTP (RFC 9110)


class BadKey(ValueError):
    """These arguments have no key."""


class NotCanonical(ValueError):
    """These bytes have no canonical form."""


def utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadKey("text with a lone surrogate") from None


def utf16(name: str) -> bytes:
    """What names are sorted by. U+10000 and above come before U+E000."""
    return name.encode("utf-16-be", "surrogatepass")


# Numbers

def number_text(x: float) -> str:
    """A finite double as ECMAScript writes it (Number::toString, which RFC 8785 adopts); -0 is 0.

    The fewest digits that read back as x; of these the nearest to x; of two as near, the even one. Plain from 1e-6 to below
    1e21, with an exponent outside."""
    if x == 0:
        return "0"
    sign, exact = "-" if x < 0 else "", abs(Fraction(x))
    point = math.floor(math.log10(abs(x)))
    while Fraction(10) ** point <= exact:               # until 10^(point-1) <= exact < 10^point
        point += 1
    while Fraction(10) ** (point - 1) > exact:
        point -= 1
    for count in range(1, 18):                          # 17 digits always read back
        unit = Fraction(10) ** (point - count)
        below = exact // unit
        fitting = [d for d in (below, below + 1) if float(f"{d}e{point - count}") == abs(x)]
        if fitting:
            break
    best = str(min(fitting, key=lambda d: (abs(d * unit - exact), d % 2)))
    point += len(best) - count                          # 9.9 may have become 10
    digits = best.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{point - 1:+d}"


# Canonical JSON

def canonical_json(data: bytes, leave_out: Set[str] = frozenset()) -> bytes | None:
    """The canonical form (RFC 8785) of a JSON text, without the members of its outermost object that `leave_out` names.

    None where not all readers would agree on what it says; the caller then uses the bytes themselves: not UTF-8; not RFC 8259
    to the last byte (a byte order mark, NaN, anything that follows); deeper than MAX_DEPTH; a name twice in one object, compared
    after unescaping; an escape for half a surrogate pair; a number that rounds to infinity (1E400). What is left out is judged
    like the rest.

    An integer (no fraction, no exponent) keeps its digits, however many; -0 is 0. Every other number is the nearest double, ties
    to even, also where that is 0 (1e-400), written by number_text. So 1, 1.0 and 10e-1 are one, and 9007199254740993 is not
    9007199254740992. Beyond 2^53 this is where we leave RFC 8785: 1000000000000000000000 is not 1e21 (a miss at worst), while a
    double has the digits that ECMAScript gives it, so 12345678901234567890.0 is one with 12345678901234567000."""
    try:
        return Reader(data.decode("utf-8"), leave_out).document().encode("utf-8")
    except (UnicodeDecodeError, NotCanonical):
        return None


SPACE = re.compile(r"[ \t\n\r]*")
NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))((?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")
PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
UNITS = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")
SHORT = {'\\"': '"', "\\\\": "\\", "\\/": "/", "\\b": "\b", "\\f": "\f", "\\n": "\n", "\\r": "\r", "\\t": "\t"}
ESCAPED = {i: f"\\u{i:04x}" for i in range(32)} | {ord(c): escape for escape, c in SHORT.items() if c != "/"}


def quote(text: str) -> str:
    """A JSON string with the least escaping: the short forms, \\u00xx in lower case below U+0020, all else as it is."""
    return '"' + text.translate(ESCAPED) + '"'


class Reader:
    """Reads a text once, from left to right. What reads a value answers with its canonical text."""

    def __init__(self, text: str, leave_out: Set[str]):
        self.text, self.at, self.leave_out = text, 0, leave_out

    def document(self) -> str:
        out = self.value(0)
        if self.at < len(self.text):
            raise NotCanonical("something follows")
        return out

    def value(self, depth: int) -> str:
        """A value and the blanks around it; `depth` arrays and objects are open."""
        self.take(SPACE)
        if self.found("{"):
            out = self.object(depth + 1)
        elif self.found("["):
            out = "[" + ",".join([self.value(depth + 1) for _ in self.items(depth + 1, "]")]) + "]"
        elif self.found('"'):
            out = quote(self.string())
        else:
            out = next((word for word in ("true", "false", "null") if self.found(word)), "") or self.number()
        self.take(SPACE)
        return out

    def object(self, depth: int) -> str:
        members: dict[str, str] = {}
        for _ in self.items(depth, "}"):
            self.take(SPACE)
            self.need('"')
            name = self.string()
            if name in members:
                raise NotCanonical("a name twice")
            self.take(SPACE)
            self.need(":")
            members[name] = self.value(depth)
        if depth == 1:
            members = {name: text for name, text in members.items() if name not in self.leave_out}
        return "{" + ",".join(f"{quote(name)}:{members[name]}" for name in sorted(members, key=utf16)) + "}"

    def items(self, depth: int, end: str) -> Iterator[None]:
        """Stops at each item before `end`, for the caller to read it."""
        if depth > MAX_DEPTH:
            raise NotCanonical("too deep")
        self.take(SPACE)
        if self.found(end):
            return
        yield
        while not self.found(end):
            self.need(",")
            yield

    def string(self) -> str:
        """What a string says, from behind its first quotation mark."""
        out = ""
        while True:
            out += self.take(PLAIN)
            if self.found('"'):
                return out
            units = self.take(UNITS)
            short = self.text[self.at:self.at + 2]
            if units:
                out += bytes.fromhex(units.replace("\\u", "")).decode("utf-16-be")     # refuses half a pair
            elif short in SHORT:
                self.at += 2
                out += SHORT[short]
            else:
                raise NotCanonical("no such escape, a control character, or no end")

    def number(self) -> str:
        match = NUMBER.match(self.text, self.at)
        if not match:
            raise NotCanonical("a value was expected")
        self.at = match.end()
        integer, rest = match.groups()
        if not rest:
            return "0" if integer == "-0" else integer
        x = float(integer + rest)
        if math.isinf(x):
            raise NotCanonical("beyond the doubles")
        return number_text(x)

    def take(self, pattern: re.Pattern) -> str:
        match = pattern.match(self.text, self.at)
        self.at += len(match.group()) if match else 0
        return match.group() if match else ""

    def found(self, word: str) -> bool:
        found = self.text.startswith(word, self.at)
        self.at += len(word) if found else 0
        return found

    def need(self, word: str) -> None:
        if not self.found(word):
            raise NotCanonical(f"{word} was expected")


# Parts

def part(data: bytes | None) -> bytes:
    if data is None:
        return ABSENT
    if len(data) >= 0xFFFFFFFF:
        raise BadKey("a part of 4 GiB")
    return len(data).to_bytes(4, "big") + data


def text_part(text: str | None) -> bytes:
    return part(None if text is None else utf8(text))


def encode(value, depth: int = 0) -> bytes:
    """One argument of key(): a tag, then its bytes; `depth` lists and maps are open.

        z  none               n  number, as text     l  list or tuple: a part for each item
        t  true   f  false    s  text, UTF-8         m  map: parts of name, value, name, value ..., names in order
                              x  bytes

    A number is its exact value, whatever type holds it: an integral one is its decimal digits, all of them (1e21 is a 1 with 21
    zeros); any other is number_text. So 1 and 1.0 are one in every language, -0.0 is 0, a BigInt is the int of its digits, 2.0**60
    is 2**60, and no two numbers that differ meet. A float of 32 bits is the double that it equals. True is not 1, text is not
    bytes. Names of a map are text. Errors: NaN, infinities, deeper than MAX_DEPTH, every other type (JavaScript's undefined too)."""
    if value is None:
        return b"z"
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, float) and not math.isfinite(value):
        raise BadKey("not a finite number")
    if isinstance(value, (int, float)):
        return b"n" + (str(int(value)) if value == int(value) else number_text(value)).encode()
    if isinstance(value, str):
        return b"s" + utf8(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b"x" + bytes(value)
    if isinstance(value, (list, tuple, dict)) and depth == MAX_DEPTH:
        raise BadKey("too deep")
    if isinstance(value, (list, tuple)):
        return b"l" + b"".join(part(encode(item, depth + 1)) for item in value)
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        names = sorted(value, key=utf16)
        return b"m" + b"".join(part(utf8(name)) + part(encode(value[name], depth + 1)) for name in names)
    raise BadKey(f"{type(value).__name__}, or a name in it, cannot be part of a key")


def token(text: str) -> bytes:
    if not TOKEN.fullmatch(text):
        raise BadKey(f"{text!r} is not a method or a field name")
    return text.encode()


# Keys

def key(*values) -> bytes:
    """The key parts of a call, or of whatever a few values name. Asking a cache for "user:42" is asking for key("user:42")."""
    if not values:
        raise BadKey("a key has at least one part")
    return part(b"call") + b"".join(part(encode(value)) for value in values)


def request_key(method: str, route: str | None = None, provider: str | None = None, model: str | None = None,
                headers: Iterable[tuple[str, bytes | None]] = (), body: bytes | None = None,
                leave_out: Set[str] = LEAVE_OUT, as_json: bool = True) -> bytes:
    """The key parts of a request.

    method     upper-case; route, provider and model as they are, absent where None
    headers    the chosen ones, as parts of name (lower-case), value, name, value ..., names in order; empty if none was chosen.
               A value is the bytes of the wire without the blanks around them; several fields of one name are one, joined by
               ", " as they came; None is a chosen header that the request does not have: an absent part
    body kind  "json": the body is canonical_json's. "raw": the bytes as they came, when they have no canonical form or `as_json`
               is False (the media type says that they are not JSON). No body and an empty one are the same: kind, left out
               and body are absent
    left out   for "json" only: all names of `leave_out` in order, in the body or not, since what was chosen is part of the key"""
    chosen: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        chosen.setdefault(token(name).lower(), []).extend([] if value is None else [value.strip(b" \t")])
    fields = b"".join(part(name) + part(b", ".join(chosen[name]) if chosen[name] else None) for name in sorted(chosen))
    kind = omitted = content = None
    if body:
        canonical = canonical_json(body, leave_out) if as_json else None
        kind, content = (b"raw", body) if canonical is None else (b"json", canonical)
        if canonical is not None:
            omitted = b"".join(part(utf8(name)) for name in sorted(leave_out, key=utf16))
    return (part(b"request") + part(token(method).upper()) + text_part(route) + text_part(provider) + text_part(model)
            + part(fields) + part(kind) + part(omitted) + part(content))


def preimage(cache: str, scope: str | None, key_parts: bytes) -> bytes:
    """`scope` is None for a cache that all callers share. An empty scope is a partition like any other."""
    if not NAME.fullmatch(cache):
        raise BadKey("a cache's name is 1 to 64 of A-Z a-z 0-9 _ . -")
    return VERSION + text_part(cache) + text_part(scope) + key_parts


def entry_digest(cache: str, scope: str | None, key_parts: bytes) -> bytes:
    """What an entry is: 32 bytes, from what key() or request_key() made."""
    return hashlib.sha256(preimage(cache, scope, key_parts)).digest()


def entry_name(namespace: str, cache: str, digest: bytes) -> str:
    """The entry's name in the store. 1 is the version of its format; the digest is the hash tag."""
    return f"{namespace}:1:c:{cache}:{{{digest[:16].hex()}}}"
