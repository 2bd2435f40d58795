# SPDX-License-Identifier: MIT
"""Conformance vectors of keys_model: one JSON object a line, the same line for the same seed.

python3 generate_keys.py --count 460 --seed 7 > keys.jsonl          # --random: none of those written by hand

{"id": "jcs.1", "op": "canonical", "body": base64, "leave_out": ["user"], "expect": base64; null: no canonical form}
{"id": "map.0a", "op": "key", "cache": "c", "scope": text or null, "parts": [typed, ...], ANSWER}
{"id": "7.30", "op": "request", "cache": "c", "scope": ..., "method": "post", "route": text or null, "provider": ..., "model": ...,
 "headers": [[name, base64 or null], ...], "body": base64 or null, "leave_out": ["user"], "as_json": true, ANSWER}
ANSWER: "preimage": base64, "expect": the digest in hex, "name": the entry's name in namespace tg; all null: an error.

typed: {"t": "none"}, {"t": "bool", "v": true}, {"t": "int", "v": "123"}, {"t": "float", "v": its 64 bits in hex},
{"t": "str", "v": "text"}, {"t": "utf16", "v": its code units in hex}, {"t": "bytes", "v": base64}, {"t": "list", "v": [typed, ...]},
{"t": "map", "v": [[name, typed], ...]}, {"t": "nest", "n": 64}: so many lists in one another, the innermost empty.
utf16 is text for languages that can hold half a surrogate pair; others pass over what they cannot express.

By hand, ids that differ in their last letter alone (number.0a, number.0b) have one key, and no other ids do. By chance, so have
three ids in a row from one that 3 divides (7.30, 7.31, 7.32), where they are of the same op and not doubtful on purpose.
"""

import argparse
import base64
import json
import math
import random
import struct
from collections.abc import Callable, Iterator
from decimal import Decimal

from keys_model import LEAVE_OUT, SHORT, BadKey, canonical_json, entry_digest, entry_name, key, preimage, request_key


def b64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def unb64(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def double(bits: str) -> float:
    return struct.unpack(">d", bytes.fromhex(bits))[0]


def typed(value) -> dict:
    if isinstance(value, dict):
        return {"t": "map", "v": [[name, typed(item)] for name, item in value.items()]}
    if isinstance(value, list):
        return {"t": "list", "v": [typed(item) for item in value]}
    if isinstance(value, float):
        return {"t": "float", "v": struct.pack(">d", value).hex()}
    if isinstance(value, bytes):
        return {"t": "bytes", "v": b64(value)}
    if isinstance(value, str) and any(0xD800 <= ord(c) <= 0xDFFF for c in value):
        return {"t": "utf16", "v": value.encode("utf-16-be", "surrogatepass").hex()}
    if value is None or isinstance(value, bool):
        return {"t": "none"} if value is None else {"t": "bool", "v": value}
    return {"t": "int", "v": str(value)} if isinstance(value, int) else {"t": "str", "v": value}


def untyped(form: dict):
    """The value that a typed form stands for."""
    kind, v = form["t"], form.get("v")
    if kind == "nest":
        value: list = []
        for _ in range(form["n"] - 1):
            value = [value]
        return value
    return {"none": lambda: None, "bool": lambda: v, "int": lambda: int(v), "float": lambda: double(v), "str": lambda: v,
            "utf16": lambda: bytes.fromhex(v).decode("utf-16-be", "surrogatepass"), "bytes": lambda: unb64(v),
            "list": lambda: [untyped(item) for item in v], "map": lambda: {name: untyped(item) for name, item in v}}[kind]()


def answered(vector: dict) -> dict:
    """The vector with what the model says to it."""
    if vector["op"] == "canonical":
        return vector | {"expect": b64(canonical_json(unb64(vector["body"]), set(vector["leave_out"])))}
    try:
        if vector["op"] == "key":
            parts = key(*map(untyped, vector["parts"]))
        else:
            headers = [(name, unb64(value)) for name, value in vector["headers"]]
            parts = request_key(vector["method"], vector["route"], vector["provider"], vector["model"], headers,
                                unb64(vector["body"]), set(vector["leave_out"]), vector["as_json"])
        digest = entry_digest(vector["cache"], vector["scope"], parts)
    except BadKey:
        return vector | {"preimage": None, "expect": None, "name": None}
    return vector | {"preimage": b64(preimage(vector["cache"], vector["scope"], parts)), "expect": digest.hex(),
                     "name": entry_name("tg", vector["cache"], digest)}


def canonical_vector(name: str, body: bytes, leave_out: set[str]) -> dict:
    return answered({"id": name, "op": "canonical", "body": b64(body), "leave_out": sorted(leave_out)})


def key_vector(name: str, forms: list[dict], cache: str = "c", scope: str | None = None) -> dict:
    return answered({"id": name, "op": "key", "cache": cache, "scope": scope, "parts": forms})


def request_vector(name: str, request: dict, cache: str = "c", scope: str | None = None) -> dict:
    headers = [[field, b64(value)] for field, value in request["headers"]]
    return answered({"id": name, "op": "request", "cache": cache, "scope": scope, **request, "headers": headers,
                     "body": b64(request["body"]), "leave_out": sorted(request["leave_out"])})


# By hand: RFC 8785's examples, sections 3.2.2 to 3.2.4 and appendix B

JCS = [(br"""{
  "numbers": [333333333.33333329, 1E30, 4.50,
              2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}""", r"""{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"""),
       (br"""{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
 "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}""",
        '{"\\r":"Carriage Return","1":"One","\x80":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign",'
        '"😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}')]

JCS_NUMBERS = """
0000000000000000 0                      8000000000000000 0                       0000000000000001 5e-324
8000000000000001 -5e-324                7fefffffffffffff 1.7976931348623157e+308 ffefffffffffffff -1.7976931348623157e+308
4340000000000000 9007199254740992       c340000000000000 -9007199254740992       4430000000000000 295147905179352830000
44b52d02c7e14af5 9.999999999999997e+22  44b52d02c7e14af6 1e+23                   44b52d02c7e14af7 1.0000000000000001e+23
444b1ae4d6e2ef4e 999999999999999700000  444b1ae4d6e2ef4f 999999999999999900000   444b1ae4d6e2ef50 1e+21
3eb0c6f7a0b5ed8c 9.999999999999997e-7   3eb0c6f7a0b5ed8d 0.000001                41b3de4355555553 333333333.3333332
41b3de4355555554 333333333.33333325     41b3de4355555555 333333333.3333333       41b3de4355555556 333333333.3333334
41b3de4355555557 333333333.33333343     becbf647612f3696 -0.0000033333333333333333
43143ff3c1cb0959 1424953923781206.2
""".split()

# By hand: spellings of a number -> how it is written

HALF = 2**1024 - 2**970             # half way between the largest double and what would be the next
NUMBERS = f"""
0 -0 0.0 -0.0 0e5 -0E-3 0e999999999999 0.000e+7 1e-400 -1e-400 1e-99999999999999999999 2.4703282292062327e-324 -> 0
1 1.0 1.000 1e0 1E+00 10e-1 0.1e1 100E-2 0.00001e+5 -> 1
-1.5 -15e-1 -0.15E1 -> -1.5
4.9406564584124654e-324 3e-324 2.4703282292062328e-324 5e-324 -> 5e-324
2.2250738585072011e-308 -> 2.225073858507201e-308
2.2250738585072014e-308 -> 2.2250738585072014e-308
1.7976931348623157e308 1.7976931348623158e308 1.79769313486231580793e+308 {HALF - 1}.0 -> 1.7976931348623157e+308
9007199254740991 9007199254740991.0 9.007199254740991e15 -> 9007199254740991
9007199254740992 9007199254740992.0 9007199254740993.0 9007199254740993e0 9007199254740992.9 -> 9007199254740992
9007199254740993 -> 9007199254740993
-9007199254740993 -> -9007199254740993
9007199254740993.000000000000000000000000000000001 9007199254740994 9007199254740994.0 -> 9007199254740994
12345678901234567890 -> 12345678901234567890
12345678901234567890.0 1.2345678901234567890e19 12345678901234567168.000 12345678901234567000 -> 12345678901234567000
18446744073709551615 -> 18446744073709551615
9223372036854775807 -> 9223372036854775807
9223372036854775807.0 9223372036854775808e0 -> 9223372036854776000
100000000000000000000 1e20 100000000000000000000.0 -> 100000000000000000000
1000000000000000000000 -> 1000000000000000000000
1e21 1E21 1e+21 1000000000000000000000.0 999999999999999999999.0 -> 1e+21
999999999999999999999 -> 999999999999999999999
999999999999999900000.0 9.999999999999999e20 -> 999999999999999900000
1e22 10.0e21 -> 1e+22
1e23 100000000000000000000000.0 -> 1e+23
1e308 -> 1e+308
{HALF} -> {HALF}
-{10**400} -> -{10**400}
0.000001 1e-6 1E-06 0.0000010 -> 0.000001
1e-7 1e-07 0.0000001 1.0E-7 10e-8 -> 1e-7
1.5e-7 0.00000015 -> 1.5e-7
0.1 1e-1 0.1000000000000000055511151231257827021181583404541015625 0.10000000000000000001 -> 0.1
0.30000000000000004 0.3000000000000000444 -> 0.30000000000000004
0.3 0.29999999999999999 -> 0.3
0.1234567890123456789012345678901234567890123456789012345678901234567890 -> 0.12345678901234568
1.00000000000000011102230246251565 1.0000000000000000000000000000000000001 -> 1
1.00000000000000011102230246251566 1.0000000000000002 -> 1.0000000000000002
5.684341886080802e-14 5.684341886080801486968994140625e-14 -> 5.684341886080802e-14
9.5367431640625e-7 -> 9.5367431640625e-7
123456.789e-2 1234.56789 -> 1234.56789
4.35 435e-2 4.349999999999999644728632120 -> 4.35
""".strip().split("\n")

# By hand: texts and their canonical form

STRINGS = [
    (r'"\u0000\u0001\u001f\u007f"', '"\\u0000\\u0001\\u001f\x7f"'), ('"\x7f\x80"', '"\x7f\x80"'), (r'"\\u0041"', r'"\\u0041"'),
    (r'"\b\t\n\f\r\u0008\u0009\u000A\u000c\u000D"', r'"\b\t\n\f\r\b\t\n\f\r"'), (r'"\/\u002f/"', '"///"'),
    (r'"\"\u0022\\\u005C"', r'"\"\"\\\\"'), (r'"\u00E9é\u00e9"', '"ééé"'), (r'"e\u0301 \u00e9"', '"e\u0301 é"'),
    (r'"\u1e0d\u0307"', '"\u1e0d\u0307"'), (r'"\u2028\u2029"', '"\u2028\u2029"'), (r'"\ufeff"', '"\ufeff"'),
    (r'"\uFFFF\uFFFE\uFDD0"', '"\uffff\ufffe\ufdd0"'), (r'"\uE000\uD7FF"', '"\ue000\ud7ff"'), (r'"\uD83D\uDE02😂"', '"😂😂"'),
    (r'"\uD800\uDC00\uDBFF\uDFFF"', '"\U00010000\U0010ffff"'), (r'"<script>&\u003c/"', '"<script>&</"'),
]
TREES = [
    (' {"b" : 1 , "a" :\t[ ] , "c":{ } }\r\n', '{"a":[],"b":1,"c":{}}'),
    ('[56,{"d":true,"10":null,"1":[ ]}]', '[56,{"1":[],"10":null,"d":true}]'),
    ('{"1":{"f":{"f":"hi","F":5},"\\n":56.0},"10":{},"":"empty","a":{},"111":[{}],"A":{}}',
     '{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{}],"A":{},"a":{}}'),
    ('{"10":1,"9":2,"01":3,"1":4,"-1":5}', '{"-1":5,"01":3,"1":4,"10":1,"9":2}'),
    ('{"pêche":1,"péché":2,"peach":3,"sin":4}', '{"peach":3,"péché":2,"pêche":1,"sin":4}'),
    ('{"\uffff":1,"\ue000":2,"\U00010000":3,"\U0010ffff":4,"\ud7ff":5}',
     '{"\ud7ff":5,"\U00010000":3,"\U0010ffff":4,"\ue000":2,"\uffff":1}'),
    ('{"a😂":1,"a\ufb33":2,"a":3,"a\\u0000":4,"A":5}', '{"A":5,"a":3,"a\\u0000":4,"a😂":1,"a\ufb33":2}'),
    ('{"\u00e9":2,"e\u0301":1}', '{"e\u0301":1,"\u00e9":2}'),
    ('{"toString":3,"constructor":2,"__proto__":1}', '{"__proto__":1,"constructor":2,"toString":3}'),
    ('{"a":{"x":1},"b":{"x":1}}', '{"a":{"x":1},"b":{"x":1}}'),
    ('"text"', '"text"'), ("\n null\t", "null"), ("true", "true"), ("[]", "[]"), ("{}", "{}"), ("-0", "0"),
    ("[" * 64 + "]" * 64, "[" * 64 + "]" * 64), ('{"a":' * 63 + "[1.0]" + "}" * 63, '{"a":' * 63 + "[1]" + "}" * 63),
]
LEFT_OUT = [
    ('{"user":"u","model":"m","metadata":{"user":1},"stream_options":null}', LEAVE_OUT, '{"model":"m"}'),
    ('{"a":{"user":1,"metadata":2},"messages":[{"user":3}]}', LEAVE_OUT, '{"a":{"metadata":2,"user":1},"messages":[{"user":3}]}'),
    (r'{"us\u0065r":1,"User":2,"user ":3}', LEAVE_OUT, '{"User":2,"user ":3}'), ('[{"user":1}]', LEAVE_OUT, '[{"user":1}]'),
    ('{"user":1}', LEAVE_OUT, "{}"), ('{"user":1}', set(), '{"user":1}'), ('{"":1,"a":2}', {""}, '{"a":2}'),
    ('"user"', LEAVE_OUT, '"user"'), (r'{"user":1,"\u0075ser":2}', LEAVE_OUT, None), ('{"user":1e400}', LEAVE_OUT, None),
    ('{"user":' + "[" * 64 + "]" * 64 + "}", LEAVE_OUT, None),
]
REFUSED = [
    # bytes that are no text
    b"\xef\xbb\xbf{}", b"\xef\xbb\xbf", "{}".encode("utf-16"), b'"\xff"', b'"\xc0\x80"', b'"\xc3"', b'"\xe2\x82"', b'"\xe0\x9f\xbf"',
    b'"\xed\xa0\x80"', b'"\xed\xa0\xbd\xed\xb8\x82"', b'"\xf4\x90\x80\x80"', b'"\xf0\x8f\xbf\xbf"', b'"\x80"',
    # half a surrogate pair
    rb'"\ud800"', rb'"\udc00"', rb'"\ud83dx"', rb'"\ud83d\n"', rb'"\ude02\ud83d"', rb'"\ud83d\ud83d\ude02"', rb'{"\udfff":1}',
    rb'"\ud83d\u0041"',
    # names
    b'{"a":1,"a":1}', rb'{"a":1,"\u0061":2}', b'[{"x":{"b":1,"a":2,"b":3}}]', '{"\u00e9":1,"\\u00E9":2}'.encode(), b'{"":1,"":2}',
    # depth
    b"[" * 65 + b"]" * 65, b'{"a":' * 65 + b"1" + b"}" * 65, b'{"a":[' * 32 + b"[1]" + b"]}" * 32, b"[" * 1000,
    # numbers
    b"1E400", b"-1e309", b"1.7976931348623159e308", f"{HALF}.0".encode(), b"1e99999999999999999999", b"NaN", b"Infinity", b"-Infinity",
    b"01", b"-01", b"00", b"1.", b".5", b"-", b"+1", b"1e", b"1e+", b"1.e5", b"1e1.5", b"0x10", b"1_000", "\uff11".encode(), b"--1", b"- 1",
    # grammar
    b"", b" ", b"{}x", b"{} {}", b"1 2", b"[1,]", b"[,1]", b"[1 2]", b"[1,,2]", b"[", b"]", b"[1}", b'{"a":1,}', b'{"a"}', b'{"a":}',
    b"{a:1}", b"{'a':1}", b"{1:2}", b'{"a" 1}', b"{,}", b"tru", b"truex", b"TRUE", b"nul", b"None", b"undefined", b"//\n1", b"/**/1",
    b"\x0c1", b"\xc2\xa01", b"1\x00", b"\x1e{}\n", b'"a', b'"\\', b'"\\x41"', b'"\\u12"', b'"\\u12g4"', b'"\\U0041"', b'"\t"', b'"\n"',
    b'"\x00"', b"'a'",
]


def canonical_facts() -> Iterator[tuple[str, bytes, set[str], str | None]]:
    """(id, text, leave_out, its canonical form), stated independently of the model."""
    for i, (body, out) in enumerate(JCS):
        yield f"jcs.{i}", body, set(), out
    for i, (bits, text) in enumerate(zip(JCS_NUMBERS[::2], JCS_NUMBERS[1::2])):
        yield f"jcs-number.{i}", f"[{double(bits):.17e}]".encode(), set(), f"[{text}]"
    for i, line in enumerate(NUMBERS):
        *spellings, _, text = line.split()
        yield f"spelling.{i}", f"[{','.join(spellings)}]".encode(), set(), f"[{','.join([text] * len(spellings))}]"
    for name, cases in (("string", STRINGS), ("tree", TREES)):
        for i, (body, out) in enumerate(cases):
            yield f"{name}.{i}", body.encode(), set(), out
    for i, (body, leave_out, out) in enumerate(LEFT_OUT):
        yield f"left-out.{i}", body.encode(), leave_out, out
    for i, body in enumerate(REFUSED):
        yield f"refused.{i}", body, set(), None


# By hand: keys. A group has one key, and no other group has it

NAN, INF = math.nan, math.inf
SAME_VALUES = {                     # groups of values that are the only argument
    "number": [[1, 1.0], [-1, -1.0], [0, 0.0, -0.0], [2**53 - 1, 2.0**53 - 1], [2**53, 2.0**53], [2**53 + 1], [-2**53 - 1],
               [2**60, 2.0**60], [1152921504606847000], [12345678901234567890], [12345678901234567168, 12345678901234567890.0],
               [12345678901234567000], [2**64 - 1], [2**64, 2.0**64], [10**21, 1e21], [10**23], [int(1e23), 1e23], [10**40],
               [0.1], [0.1 + 0.2], [0.3], [5e-324], [1e-7], [1e-6], [1.7976931348623157e308], [-0.5], [4503599627370495.5],
               [struct.unpack(">f", bytes.fromhex("3dcccccd"))[0]]],
    "type": [[True], [False], [None], [""], ["1"], ["0.1"], ["true"], ["null"], ["z"], [b""], [b"1"], [b"\xff\0"]],
    "text": [["é"], ["e\u0301"], ["é".encode()], ["😂"], ["a\0b"], ["a"], ["A"], ["\ufeffa"], ["\uffff"], ["\U00010000"]],
    "list": [[[]], [[[]]], [[None]], [[1, [2]], [1.0, [2.0]]], [[[1], 2]], [["a", 1]], [["ab", "c"]], [["a", "bc"]], [["abc"]]],
    "map": [[{}], [{"a": 1, "b": 2}, {"b": 2, "a": 1}], [{"a": 2, "b": 1}], [{"10": 1, "9": 2}, {"9": 2, "10": 1}],
            [{"\ufb33": 1, "😂": 2}, {"😂": 2, "\ufb33": 1.0}], [{"": None}], [{"a": {"b": 1}}], [{"a": {}, "b": 1}], [{"a": 1}]],
    "no-key": [[NAN], [INF], [[1, -INF]], ["\ud800"], ["a\udc00"], [{"a": ["\udfff"]}]],
}
SAME_CALLS = {                      # groups of typed arguments
    "call": [[[typed(value) for value in values]] for values in [
        ["ab", "c"], ["a", "bc"], ["a", ""], ["", "a"], ["a", None], ["a", "b", "c"], [["a"], "b"], [["a", "b"]], [[], []], [[], [[]]]]],
    "utf16": [[[typed("a😂")], [{"t": "utf16", "v": "0061d83dde02"}]]],
    "nest": [[[{"t": "nest", "n": 63}]], [[{"t": "nest", "n": 64}]], [[{"t": "map", "v": [["a", {"t": "nest", "n": 63}]]}]]],
    "no-keys": [[[]], [[{"t": "nest", "n": 65}]], [[{"t": "map", "v": [["a", {"t": "nest", "n": 64}]]}]]],
}
PLACES = [("c", None), ("c", ""), ("c", "t"), ("C", None), ("ct", None), ("ct", ""), ("c", "é"), ("c", "\0"), ("a-b_c.9", "t"),
          ("x" * 64, "t")]
NO_PLACES = [("", None), ("a b", None), ("é", None), ("x" * 65, None), ("a:b", None), ("a\n", None)]

NO_REQUESTS = [{"method": ""}, {"method": "GET /"}, {"method": "GÉT"}, {"headers": [["", b"a"]]}, {"headers": [["é", b"a"]]},
               {"headers": [["x-a:", None]]}, {"headers": [["x-a", b"1"], ["x b", b"1"]]}]

REQUEST = {"method": "POST", "route": "/v1/chat/completions", "provider": "openai", "model": "m-1", "headers": [],
           "body": b'{"model":"m","temperature":1}', "leave_out": LEAVE_OUT, "as_json": True}
SAME_REQUESTS = [                   # groups of changes to it
    [{}, {"method": "post"}, {"body": b' {"temperature": 1.0, "\\u006dodel":"m"}\n'},
     {"body": b'{"model":"m","temperature":10E-1,"user":"u","metadata":{}}'}],
    [{"method": "PUT"}], [{"route": None}], [{"route": ""}], [{"provider": None}], [{"provider": ""}], [{"model": None}],
    [{"model": ""}], [{"provider": "m-1", "model": "openai"}], [{"route": "/v1/chat/completionsopenai", "provider": ""}],
    [{"headers": [["Accept-Language", b"de"], ["X-A", b"1"]]}, {"headers": [["x-a", b" 1\t"], ["accept-language", b"de"]]}],
    [{"headers": [["x-a", b"1, 2"]]}, {"headers": [["X-A", b"1"], ["x-a", b"2"]]},
     {"headers": [["x-a", b"1"], ["x-a", None], ["x-a", b"2"]]}],
    [{"headers": [["x-a", b"2"], ["x-a", b"1"]]}], [{"headers": [["x-a", b""]]}],
    [{"headers": [["x-a", None]]}, {"headers": [["X-A", None], ["x-a", None]]}],
    [{"headers": [["x-a", b"\xc3\xa9"]]}], [{"headers": [["x-a", b"\xe9"]]}],
    [{"headers": [["x", b"a"], ["y", b"b"]]}], [{"headers": [["x", b"ay"], ["b", b""]]}],
    [{"body": None}, {"body": b""}, {"body": b"", "as_json": False}, {"body": None, "leave_out": set()}],
    [{"body": b" "}], [{"body": b"{}"}], [{"body": b"null"}], [{"body": b"\x00\xff"}],
    [{"as_json": False}, {"as_json": False, "leave_out": set()}], [{"body": b'{"model":"m","temperature":1'}],
    [{"body": b'{"model":"m","temperature":1e400}'}], [{"body": b'{"model":"m","temperature":1,"temperature":1}'}],
    [{"body": b'{"model":"m","temperature":"1"}'}], [{"body": b'{"model":"m"}'}],
    [{"body": b'{"model":"m","temperature":1,"n":1}'}],
    [{"body": b'{"id":12345678901234567890}'}], [{"body": b'{"id":12345678901234567000}'}],
    [{"leave_out": set()}], [{"leave_out": {"user", "metadata"}}], [{"leave_out": LEAVE_OUT | {"temperature"}}],
    [{"leave_out": {"\ufb33", "😂", "user"}}],
]


def by_hand() -> Iterator[dict]:
    for name, body, leave_out, out in canonical_facts():
        vector = canonical_vector(name, body, leave_out)
        assert vector["expect"] == (None if out is None else b64(out.encode())), name
        yield vector
    groups: list[tuple[str, Callable, list]] = []       # name, what makes a vector, its arguments
    for name, values in SAME_VALUES.items():
        groups += [(f"{name}.{i}", key_vector, [([typed(value)],) for value in group]) for i, group in enumerate(values)]
    for name, calls in SAME_CALLS.items():
        groups += [(f"{name}.{i}", key_vector, [(call,) for call in group]) for i, group in enumerate(calls)]
    for name, places in (("place", PLACES), ("no-place", NO_PLACES)):
        groups += [(f"{name}.{i}", key_vector, [([typed("user:42")], *place)]) for i, place in enumerate(places)]
    for name, changes in (("request", SAME_REQUESTS), ("no-request", [[change] for change in NO_REQUESTS])):
        groups += [(f"{name}.{i}", request_vector, [(REQUEST | change,) for change in group]) for i, group in enumerate(changes)]
    seen = set()
    for name, make, group in groups:
        vectors = [make(name + letter, *arguments) for letter, arguments in zip("abcdef", group)]
        expects = {vector["expect"] for vector in vectors}
        assert len(expects) == 1 and (None in expects) == name.startswith("no-") and not expects & seen, name
        seen |= expects - {None}
        yield from vectors


# By chance

LETTERS = ["a", "b", "z", "A", "0", "1", "9", "-", " ", "/", '"', "\\", "'", "\0", "\n", "\t", "\x1f", "\x7f", "\x80", "é", "e\u0301", "ß",
           "\u2028", "\ud7ff", "\ue000", "\ufb33", "\ufeff", "\uffff", "\U00010000", "😂", "\U0010ffff"]
NAMES = ["model", "user", "metadata", "stream_options", "messages", "10", "9", "1", "", "a", "é", "\ufb33", "😂"]


def random_text(rng: random.Random) -> str:
    return rng.choice(NAMES) if rng.random() < 0.4 else "".join(rng.choices(LETTERS, k=rng.randrange(6)))


def random_double(rng: random.Random) -> float:
    """Finite doubles: any bits, short decimals, halves between decimals, powers of two and ten, the notation's boundaries and
    what is next to them."""
    while True:
        x = rng.choice([
            lambda: double(rng.randbytes(8).hex()), lambda: rng.randrange(-10**6, 10**6) / rng.choice([1, 2, 10, 100, 1000]),
            lambda: rng.randrange(2**49, 2**53) / rng.choice([2, 4, 8]), lambda: float(rng.randrange(2**50, 2**70)),
            lambda: 2.0 ** rng.randrange(-1074, 1024), lambda: float(f"{rng.randrange(1, 1000)}e{rng.randrange(-330, 306)}"),
            lambda: rng.choice([2.0**53, 1e21, 1e-6, 1e-7, 1e22, 1e23, 5e-324, 2.0**-1022, 2.0**-44, 1.7976931348623157e308]),
            lambda: rng.choice([0.0, -0.0, 1.0, 0.1 + 0.2, rng.random()])])()
        for _ in range(rng.choice([0, 0, 1, 2])):
            x = math.nextafter(x, rng.choice([-INF, INF]))
        if math.isfinite(x):
            return rng.choice([x, x, -x])


def random_int(rng: random.Random) -> int:
    near = rng.choice([0, 0, 10, 2**31, 2**53, 2**63, 2**64, 10**21, 10**30])
    return rng.choice([1, -1]) * (near + rng.randrange(-3, 4) if rng.random() < 0.7 else rng.randrange(10**25))


def random_value(rng: random.Random, also: tuple = (), depth: int = 0):
    """Any value of JSON; `also` bytes, for a key."""
    kinds = ["none", "bool", "int", "double", "text", *also] + ["list", "map"] * (2 if depth < 3 else 0)
    kind = rng.choice(kinds if depth or also else ["map", "map", "map", "list", "int", "double", "text"])
    if kind in ("list", "map"):
        items = [random_value(rng, also, depth + 1) for _ in range(rng.randrange(5))]
        return items if kind == "list" else {random_text(rng): item for item in items}
    return {"none": lambda: None, "bool": lambda: rng.random() < 0.5, "int": lambda: random_int(rng),
            "double": lambda: random_double(rng), "text": lambda: random_text(rng),
            "bytes": lambda: rng.randbytes(rng.randrange(4))}[kind]()


def spell(rng: random.Random, number: int | float) -> str:
    """One of the spellings that have the same canonical form. An int beyond 2^53 has but one; a double from there on is never
    spelled like an int."""
    if isinstance(number, int) and abs(number) > 2**53:
        return str(number)
    x = float(number)
    if x == 0:
        return rng.choice(["0", "-0", "0.0", "-0.00", "0e0", "-0E+7", "0.0e-5", "1e-400", "-3E-999"])
    sign, digits, exponent = Decimal(rng.choice([repr(x), repr(x), f"{x:.17e}", f"{x:.25e}"])).as_tuple()
    zeros = rng.choice([0, 0, 0, 1, 4])
    text, exponent = "".join(map(str, digits)) + "0" * zeros, exponent - zeros
    if -40 < exponent < 30 and rng.random() < 0.5:
        out = format(Decimal(x) if rng.random() < 0.1 else Decimal((sign, tuple(map(int, text)), exponent)), "f")
    else:
        point = rng.randrange(1, len(text) + 1)
        power = exponent + len(text) - point
        out = "-" * sign + (text[:point].lstrip("0") or "0") + ("." + text[point:] if text[point:] else "") + rng.choice("eE")
        out += rng.choice(["-"] if power < 0 else ["", "+"]) + rng.choice(["", "0", "00"]) + str(abs(power))
    if not set(out) & set(".eE") and (abs(x) > 2**53 or rng.random() < 0.3):
        out += rng.choice([".0", ".000", "e0", "E+00", ".0e-0"])
    assert float(out) == x, (x, out)
    return out


def spell_text(rng: random.Random, text: str) -> str:
    shorts, out = {c: escape for escape, c in SHORT.items()}, ""
    for c in text:
        units = c.encode("utf-16-be").hex()
        long = "".join("\\u" + rng.choice([unit, unit.upper()]) for unit in (units[:4], units[4:]) if unit)
        short = shorts.get(c, long)
        out += rng.choice([long, short] if c in '"\\' or c < " " else [c, c, c, short])
    return f'"{out}"'


def render(rng: random.Random, value) -> str:
    """A JSON text of a value: blanks, the order of members, escapes and the spelling of numbers are chance."""
    def blank() -> str:
        return "".join(rng.choices(" \t\r\n", k=rng.choice([0, 0, 0, 1, 2])))
    if isinstance(value, dict):
        members = [f"{blank()}{spell_text(rng, name)}{blank()}:{render(rng, item)}" for name, item in value.items()]
        out = "{" + ",".join(rng.sample(members, len(members)) or [blank()]) + "}"
    elif isinstance(value, list):
        out = "[" + ",".join([render(rng, item) for item in value] or [blank()]) + "]"
    elif isinstance(value, str):
        out = spell_text(rng, value)
    else:
        out = json.dumps(value) if value is None or isinstance(value, bool) else spell(rng, value)
    return blank() + out + blank()


BAD = [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b"-", b".", b"e", b"E9", b"+", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\0",
       b"\t", b"\x0b", b"\xc2\xa0", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\\ud800", b"\\udc00", b"\\u0061", b"1e400", b"NaN", b'"a":1,',
       b"/", b"  "]
PIECES = [b"a", "é".encode(), b"\\u", b"d83d", b"\\ud83d", b"\\uDE02", b"\\uDBFF", b"\\udfff", b"\\uD7FF", b"\\ue000", b"\\n", b"\\/",
          b"\\\\", b"\\x", b"\\'", b"\t", b"\0", "😂".encode(), b"\xed\xa0\x80", b"\xed\xb8\x82", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xe2\x82"]


def doubtful(rng: random.Random) -> bytes:
    """Bytes that may or may not have a canonical form."""
    def damaged(data: bytes) -> bytes:
        at = rng.randrange(len(data) + 1)
        to, put = min(len(data), at + rng.randrange(4)), rng.choice(BAD)
        return rng.choice([data[:at], data[:at] + data[to:], data[:to] + data[at:], data[:at] + put + data[at:], data[:at] + put + data[to:]])

    def wrapped(inner: str, depth: int) -> str:
        for _ in range(depth):
            inner = rng.choice([f"[{inner}]", f'{{"a":{inner}}}', f"[ {inner},1]"])
        return inner

    def twice() -> str:
        names = random_text(rng), random_text(rng)
        members = [f"{spell_text(rng, rng.choice(names))}:{render(rng, random_value(rng, depth=3))}" for _ in range(2)]
        return wrapped("{" + ",".join(members) + "}", rng.randrange(3))

    return rng.choice([
        lambda: damaged(render(rng, random_value(rng)).encode()),
        lambda: damaged(damaged(render(rng, random_value(rng, depth=2)).encode())),
        lambda: rng.choice(BAD) + render(rng, random_int(rng)).encode(),
        lambda: twice().encode(),
        lambda: wrapped(render(rng, random_value(rng, depth=4)), rng.randrange(62, 67)).encode(),
        lambda: "".join(rng.choices("00123456789--+..eE", k=rng.randrange(1, 7))).encode(),
        lambda: wrapped(f"{rng.randrange(1, 10**17)}e{rng.randrange(285, 312)}", rng.randrange(2)).encode(),
        lambda: b'["' + b"".join(rng.choices(PIECES, k=rng.randrange(1, 5))) + b'"]'])()


def shuffled(rng: random.Random, value):
    """The same value as another language might hold it: maps in another order, numbers of another type."""
    if isinstance(value, dict):
        return {name: shuffled(rng, value[name]) for name in rng.sample(list(value), len(value))}
    if isinstance(value, list):
        return [shuffled(rng, item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and int(float(value)) == value and rng.random() < 0.5:
        return -0.0 if value == 0 and rng.random() < 0.5 else float(value)
    if isinstance(value, float) and value == int(value) and rng.random() < 0.5:
        return int(value)
    return value


def random_request(rng: random.Random) -> dict:
    """What a request says. A body is a JSON value, or bytes that are none."""
    body = rng.choice([None, b"", b"\xff" + rng.randbytes(4), *[random_value(rng)] * 7])
    names = rng.sample(["accept", "accept-language", "x-version", "x-a"], rng.randrange(4))
    return {"method": rng.choice(["GET", "POST", "PATCH"]),
            **{name: rng.choice([None, "", "/v1/x", "openai", "modèle"]) for name in ("route", "provider", "model")},
            "headers": {name: rng.choice([None, b"", b"de", b"\xe9", b"a, b"]) for name in names}, "body": body,
            "leave_out": rng.choice([LEAVE_OUT, LEAVE_OUT, set(), {"model", "\ufb33", "😂"}]), "as_json": rng.random() < 0.9}


def sent(rng: random.Random, request: dict) -> dict:
    """The request as one of many callers might send it: request_key's arguments."""
    body, headers = request["body"], []
    for name, value in rng.sample(list(request["headers"].items()), len(request["headers"])):
        for one in [value] if value is None or rng.random() < 0.5 else value.split(b", "):
            headers.append([rng.choice([name, name.title(), name.upper()]), one and rng.choice([one, b" " + one, one + b"\t"])])
    if body is not None and not isinstance(body, bytes):
        body = render(rng if request["as_json"] else random.Random(1), body).encode()
    return request | {"method": rng.choice([request["method"], request["method"].lower()]), "headers": headers,
                      "body": body or rng.choice([None, b""])}


def by_chance(seed: int, i: int) -> dict:
    group, rng = random.Random(seed * 1_000_003 + i - i % 3), random.Random((seed + 1) * 1_000_003 + i)
    name, kind = f"{seed}.{i}", group.choices(["canonical", "doubtful", "key", "request"], [25, 25, 25, 25])[0]
    leave_out = group.choice([set(), set(), LEAVE_OUT, {"a", "10"}])
    if kind == "canonical":
        return canonical_vector(name, render(rng, random_value(group)).encode(), leave_out)
    if kind == "doubtful":
        return canonical_vector(name, doubtful(rng), leave_out)
    cache, scope = group.choice(["c", "answers", "c", "answers", "c", "a/b"]), group.choice([None, "", "tenant-1", "Zürich"])
    if kind == "request":
        return request_vector(name, sent(rng, random_request(group)), cache, scope)
    values = [random_value(group, ("bytes",)) for _ in range(group.randrange(1, 4))]
    rare = [{"t": "nest", "n": group.randrange(62, 67)}, typed(group.choice([NAN, INF, -INF, "\ud800", "a\udfff"]))]
    forms = [typed(shuffled(rng, value)) for value in values] + group.choice([[]] * 6 + [rare[:1], rare[1:]])
    return key_vector(name, forms, cache, scope)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=460)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--random", action="store_true")
    args = parser.parse_args()
    vectors = [] if args.random else list(by_hand())[:args.count]
    vectors += [by_chance(args.seed, i) for i in range(args.count - len(vectors))]
    for vector in vectors:
        print(json.dumps(vector, separators=(",", ":")))


if __name__ == "__main__":
    main()
