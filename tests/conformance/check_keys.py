# SPDX-License-Identifier: MIT
"""Properties of the keys: what is one has one key, what differs has another.

python3 check_keys.py [--rounds N] [--seed S]
"""

import argparse
import json
import math
import random
import struct
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from generate_keys import (LETTERS, NAMES, answered, doubtful, random_double, random_request, random_text, random_value, render,
                           sent, shuffled, spell, spell_text, typed, untyped)
from keys_model import (ABSENT, LEAVE_OUT, MAX_DEPTH, BadKey, canonical_json, entry_digest, entry_name, key, number_text, part,
                        preimage, request_key, utf16)


def by_repr(x: float) -> str:
    """ECMAScript's text of a double out of Python's, which has the same digits."""
    if x == 0:
        return "0"
    sign, numerals, exponent = Decimal(repr(x)).normalize().as_tuple()
    digits, point = "".join(map(str, numerals)), len(numerals) + exponent
    if 0 < point <= 21:
        out = digits.ljust(point, "0")[:point] + ("." + digits[point:] if digits[point:] else "")
    elif -6 < point <= 0:
        out = "0." + digits.rjust(len(digits) - point, "0")
    else:
        out = (digits[0] + "." + digits[1:]).rstrip(".") + f"e{point - 1:+d}"
    return "-" * sign + out


def plain(value, number=lambda n: by_repr(n) if isinstance(n, float) else str(n)):
    """A value such that == says whether two are one: types apart, order of members without meaning. Numbers as JSON's
    canonical text; with number=Fraction by their exact value."""
    if isinstance(value, dict):
        return "map", frozenset((name, plain(item, number)) for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return "list", *(plain(item, number) for item in value)
    if is_number(value):
        return "number", number(value)
    return type(value).__name__, value


def is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def change(rng: random.Random, value):
    """Another value, nearly the same; now and then one that is the same after all."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        name = rng.choice(list(value))
        rest = {other: item for other, item in value.items() if other != name}
        inner = value | {name: change(rng, value[name])}
        return rng.choice([inner, inner, rest, rest | {change_text(rng, name): value[name]}, value | {random_text(rng): None}])
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        before, item, after = value[:at], value[at], value[at + 1:]
        inner, wrapped = before + [change(rng, item)] + after, before + [[item]] + after
        return rng.choice([inner, inner, wrapped, before + after, [before + [item], *after], after + [item] + before])
    if isinstance(value, str):
        return rng.choice([change_text(rng, value), change_text(rng, value), value.encode(), [value]])
    if is_number(value):
        return rng.choice([value + 1, -value, value / 2, math.nextafter(value, 0), str(value), value != 0, [value]])
    return rng.choice([None, False, True, 0, 1, 0.5, "", "null", b"", [], {}, [value], {"": value}])


def change_text(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    more, less = text[:at] + rng.choice(LETTERS) + text[at:], text[:at] + text[at + 1:]
    return rng.choice([more, less, text.swapcase(), text[::-1], text + "\0"])


def items_of(value) -> list:
    return list(value) if isinstance(value, (list, tuple)) else list(value.values()) if isinstance(value, dict) else []


def is_json(value) -> bool:
    return not isinstance(value, bytes) and all(map(is_json, items_of(value)))


def check_numbers(rng: random.Random) -> None:
    x = random_double(rng) if rng.random() < 0.5 else struct.unpack(">d", rng.randbytes(8))[0]
    if math.isfinite(x):
        text = number_text(x)
        assert text == by_repr(x) and float(text) == x, x
        spellings = {canonical_json(spell(rng, x).encode()) for _ in range(4)}
        assert spellings == {text.encode()}, (x, spellings)


def by_dumps(value) -> str:
    """RFC 8785's form by other means: Python's escapes and its order of lists of code units."""
    if isinstance(value, dict):
        units = {name: [u for (u,) in struct.iter_unpack("<H", name.encode("utf-16-le"))] for name in value}
        return "{" + ",".join(by_dumps(name) + ":" + by_dumps(value[name]) for name in sorted(value, key=units.get)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(by_dumps, value)) + "]"
    return by_repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def check_json(rng: random.Random) -> None:
    """However a value is written, it has one canonical form, which says the same; another value has another."""
    value = random_value(rng)
    texts = [render(rng, value).encode() for _ in range(3)]
    form = by_dumps(value).encode()
    assert {canonical_json(text) for text in texts} == {form}, texts
    assert canonical_json(form) == form
    assert plain(json.loads(form)) == plain(value), texts
    assert plain(json.loads(form, parse_int=float)) == plain(json.loads(texts[0], parse_int=float))      # as doubles
    assert canonical_json(b"\xef\xbb\xbf" + form) is None
    name = random_text(rng)
    again = f"[{{{spell_text(rng, name)}:1,{spell_text(rng, name)} :{form.decode()}}}]"
    assert canonical_json(again.encode()) is None, again
    other = change(rng, value)
    if is_json(other):
        assert (canonical_json(render(rng, other).encode()) == form) == (plain(other) == plain(value)), (value, other)
    leave_out = set(rng.sample(NAMES, 3))
    left = {name: item for name, item in value.items() if name not in leave_out} if isinstance(value, dict) else value
    assert canonical_json(texts[1], leave_out) == canonical_json(render(rng, left).encode())
    assert canonical_json(render(rng, [value]).encode(), leave_out) == b"[" + form + b"]"


def by_json(data: bytes):
    """What Python's own reader makes of bytes that have a canonical form; ValueError for those that have none."""
    def once(pairs: list) -> dict:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name twice")
        return dict(pairs)

    def finite(text: str) -> float:
        if math.isinf(float(text)):
            raise ValueError("infinity")
        return float(text)

    def refuse(text: str):
        raise ValueError(text)

    def depth(value) -> int:
        return isinstance(value, (list, dict)) + max(map(depth, items_of(value)), default=0)

    value = json.loads(data.decode(), object_pairs_hook=once, parse_constant=refuse, parse_float=finite)
    json.dumps(value, ensure_ascii=False).encode()               # half a surrogate pair
    if depth(value) > MAX_DEPTH:
        raise ValueError("too deep")
    return value


def check_doubtful(rng: random.Random) -> bool:
    """The strict reader refuses what an independent one refuses, and reads the same from the rest."""
    data = doubtful(rng)
    form = canonical_json(data)
    try:
        value = by_json(data)
    except ValueError:
        assert form is None, data
        return False
    assert form is not None and plain(json.loads(form)) == plain(value), data
    return True


def read_parts(data: bytes) -> list[bytes | None]:
    out: list[bytes | None] = []
    while data:
        size = int.from_bytes(data[:4], "big")
        out.append(None if data[:4] == ABSENT else data[4:4 + size])
        data = data[4:] if data[:4] == ABSENT else data[4 + size:]
    return out


def read_value(data: bytes):
    """An argument of key(), read back: so no two have one encoding."""
    tag, rest = data[:1], data[1:]
    if tag == b"l":
        return "list", *map(read_value, read_parts(rest))
    if tag == b"m":
        names = read_parts(rest)
        return "map", frozenset((name.decode(), read_value(item)) for name, item in zip(names[::2], names[1::2]))
    if tag == b"n":
        return "number", Fraction(int(rest)) if rest.lstrip(b"-").isdigit() else Fraction(float(rest))
    return {b"z": lambda: ("NoneType", None), b"t": lambda: ("bool", True), b"f": lambda: ("bool", False),
            b"s": lambda: ("str", rest.decode()), b"x": lambda: ("bytes", rest)}[tag]()


def check_key(rng: random.Random) -> None:
    """Arguments have one key in every language and order, from which they can be read back; others have another."""
    values = [random_value(rng, ("bytes",)) for _ in range(rng.randrange(1, 4))]
    cache, scope = rng.choice(["a", "b", "answers"]), rng.choice([None, "", "a", "tenant"])
    made = key(*values)
    assert made == key(*shuffled(rng, values)) == key(*map(untyped, map(typed, values)))
    assert made == key(*[tuple(value) if isinstance(value, list) else value for value in values])
    image = preimage(cache, scope, made)
    read = read_parts(image[1:])
    assert image[:1] == b"\x01" and read[:3] == [cache.encode(), scope if scope is None else scope.encode(), b"call"]
    assert [read_value(item) for item in read[3:]] == [plain(value, Fraction) for value in values]
    other = change(rng, values)
    if isinstance(other, list) and other:
        assert (key(*other) == made) == (plain(other, Fraction) == plain(values, Fraction)), (values, other)
    keys = [made, key(values), part(b"request") + made[len(part(b"call")):]]
    digests = {entry_digest(c, s, k) for c in ("a", "b") for s in (None, "", "a", "b") for k in keys}
    assert len(digests) == 2 * 4 * 3
    digest = entry_digest(cache, scope, made)
    assert len(digest) == 32 and entry_name("tg", cache, digest) == f"tg:1:c:{cache}:{{{digest.hex()[:32]}}}"


def said(request: dict) -> tuple:
    """What a request says, from its description."""
    head = request["method"], request["route"], request["provider"], request["model"], tuple(sorted(request["headers"].items()))
    body = request["body"]
    if body is None or body == b"":
        return *head, None, None, None
    if isinstance(body, bytes):
        return *head, "raw", None, body
    if not request["as_json"]:
        return *head, "raw", None, render(random.Random(1), body).encode()
    if isinstance(body, dict):
        body = {name: item for name, item in body.items() if name not in request["leave_out"]}
    return *head, "json", tuple(sorted(request["leave_out"])), plain(body)


def read_request(parts: bytes) -> tuple:
    """What a request says, from its key parts."""
    first, *texts, fields, kind, omitted, body = read_parts(parts)
    names, values = read_parts(fields)[::2], read_parts(fields)[1::2]
    assert first == b"request" and len(texts) == 4 and names == sorted(set(names))
    head = *(None if text is None else text.decode() for text in texts), tuple((n.decode(), v) for n, v in zip(names, values))
    if kind is None or kind == b"raw":
        return *head, kind and kind.decode(), omitted, body
    left_out = [name.decode() for name in read_parts(omitted)]
    assert left_out == sorted(left_out, key=utf16)
    return *head, kind.decode(), tuple(sorted(left_out)), plain(json.loads(body))


def check_request(rng: random.Random) -> None:
    """A request has one key however it is sent, from which it can be read back; another has another."""
    request = random_request(rng)
    parts = request_key(**sent(rng, request))
    assert request_key(**sent(rng, request)) == parts
    assert read_request(parts) == said(request), (request, read_request(parts))
    body, text = request["body"], rng.choice([None, "", "x", random_text(rng)])
    other = request | rng.choice([
        {"method": request["method"] + "X"}, {"route": text}, {"provider": text}, {"model": text},
        {"provider": request["model"], "model": request["provider"]}, {"as_json": not request["as_json"]},
        {"headers": request["headers"] | {rng.choice(["accept", "x-b"]): rng.choice([None, b"", b"fr"])}},
        {"leave_out": rng.choice([set(), {"user"}, LEAVE_OUT])},
        {"body": body + b"\xff" if isinstance(body, bytes) else change(rng, body)}])
    if isinstance(other["body"], bytes) or is_json(other["body"]):
        assert (request_key(**sent(rng, other)) == parts) == (said(other) == said(request)), (request, other)


def check_errors() -> None:
    nested: list | dict = []
    for _ in range(MAX_DEPTH - 1):
        nested = [nested]
    key(nested)
    wrong = [lambda: key(), *(lambda bad=bad: key("x", bad) for bad in [
        [nested], {"a": nested}, math.nan, -math.inf, "\ud800", {1: 2}, {"a": {None: 1}}, {"\udc00": 1}, {1}, object(), len, 1j,
        Decimal(1), Fraction(1)])]
    wrong += [lambda name=name: entry_digest(name, None, b"") for name in ["", "a b", "a:b", "a\n", "é", "x" * 65]]
    wrong += [lambda: entry_digest("c", "\ud800", b""), lambda: request_key("GET", "\udc00"), lambda: request_key("GÉT"),
              lambda: request_key("GET", headers=[("a b", None)])]
    for i, call in enumerate(wrong):
        try:
            call()
        except BadKey:
            continue
        raise AssertionError(i)


def check_vectors() -> int:
    lines = (Path(__file__).parent / "keys.jsonl").read_text().splitlines()
    vectors = [json.loads(line) for line in lines]
    for vector in vectors:
        assert answered(vector) == vector, vector["id"]
    assert len({vector["id"] for vector in vectors}) == len(vectors)
    return len(vectors)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    check_errors()
    for i in range(-1074, 1024):
        assert number_text(2.0**i) == by_repr(2.0**i)            # where the doubles below lie closer than those above
    vectors, accepted = check_vectors(), 0
    for i in range(args.rounds):
        rng = random.Random(args.seed * 1_000_003 + i)
        for check in (check_numbers, check_json, check_key, check_request):
            check(rng)
        accepted += check_doubtful(rng)
    assert args.rounds // 10 < accepted < args.rounds * 9 // 10 or args.rounds < 100, accepted
    print(f"{args.rounds} rounds and {vectors} vectors passed, 0 failed")


if __name__ == "__main__":
    main()
