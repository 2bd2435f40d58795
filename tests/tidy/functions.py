# SPDX-License-Identifier: MIT
"""Where functions begin and end: exact for Python, by braces for C, C++ and JavaScript, by
indentation for Go and Rust, whose formatters leave no choice."""

import ast
import re
from dataclasses import dataclass


@dataclass
class Function:
    name: str
    line: int
    length: int


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield Function(node.name, node.lineno, node.end_lineno - node.lineno + 1)


INDENTED = {
    ".go": re.compile(r"^()func\b(?:\s*\([^)]*\))?\s*(\w+)"),
    ".rs": re.compile(
        r"^( *)(?:pub(?:\([^)]*\))? +)?(?:(?:async|const|unsafe|extern +\"[^\"]*\") +)*fn +(\w+)"
    ),
}


def indented_functions(text, ending):
    lines = text.split("\n")
    for number, line in enumerate(lines):
        found = INDENTED[ending].match(line)
        if not found or line.rstrip().endswith(("}", ";")):
            continue
        indent, name = found.groups()
        end = next((i for i in range(number, len(lines)) if lines[i] == indent + "}"), number)
        yield Function(name, number + 1, end - number + 1)


# Comments and literals, longest first; a regular expression only where a value may stand.
TOKENS = {
    "c": re.compile(
        r"//(?:\\\n|[^\n])*|/\*.*?\*/|R\"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)\""
        r"|\"(?:\\.|[^\"\\\n])*\"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'|^[ \t]*\#(?:\\\n|[^\n])*",
        re.S | re.M,
    ),
    "js": re.compile(
        r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`"
        r"|(?:(?<=[(,=:\[!&|?{};])|(?<=return))[ ]*/(?![/*])"
        r"(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+/",
        re.S | re.M,
    ),
}


def blank(text, language):
    """The text with comments and literals emptied; line breaks stay."""

    def empty(found):
        value = found.group()
        return ("" if value.startswith(("/", "#", " ", "\t")) else '""') + "\n" * value.count("\n")

    return TOKENS[language].sub(empty, text)


C_SCOPE = re.compile(
    r"^\s*(?:inline\s+)?(?:template\s*<.*>\s*)?"
    r"(?:typedef\s+)?(?:namespace|class|struct|union|enum|extern\s*\"\")\b[^()]*"
    r"(?:\b(?:alignas|__attribute__)\s*\(+[^()]*\)+[^()]*)?$",
    re.S,
)
JS_FUNCTION = re.compile(r"(?:\bfunction\b[^(]*\(.*\)|=>|\)|\)\s*:[^=;{}]*)\s*$", re.S)
JS_NAME = re.compile(
    r"(?:function\*?\s+|^\s*(?:const|let|export|async|static|get|set|#)?\s*)"
    r"([\w$#]+)\s*(?=[=(:])",
    re.M,
)
JS_CONTROL = re.compile(r"^\s*(?:\}?\s*else\s+)?(?:if|for|while|switch|catch|with)\b")
JS_GROUP = re.compile(r"\b(?:describe|suite)(?:\.\w+)?\s*\(")  # holds tests, is none


def braces(clean):
    """(statement before the brace, line where it starts, line where the brace closes)."""
    opened, start, line, parts, paren = [], 1, 1, [], []
    for char in clean:
        if char == "{":
            opened.append(("".join(parts), start, paren))
            parts, paren = [], []
        elif char == "}" and opened:
            statement, began, paren = opened.pop()
            yield statement, began, line, len(opened)
            parts = []
        elif char == ";" and not paren:
            parts = []
        else:
            if char == "(":
                paren.append(char)
            elif char == ")" and paren:
                paren.pop()
            if not parts and not char.isspace():
                start = line
            if parts or not char.isspace():
                parts.append(char)
        line += char == "\n"


def c_functions(text):
    """A body is a brace, not in another body, whose statement has parentheses and is no scope."""
    found = []
    for statement, start, end, depth in braces(blank(text, "c")):
        if "(" in statement and not C_SCOPE.match(statement):
            found.append((depth, start, end, statement))
    for depth, start, end, statement in found:
        if not any(d < depth and s <= start and end <= e for d, s, e, _ in found):
            yield Function(c_name(statement), start, end - start + 1)


def c_name(statement):
    tests = re.match(r"\s*TEST(?:_F|_P)?\s*\(\s*(\w+)\s*,\s*(\w+)", statement)
    if tests:
        return ".".join(tests.groups())
    named = re.search(r"([~\w:]+)\s*\(", statement)
    return named.group(1) if named else "?"


def js_functions(text):
    for statement, start, end, _ in braces(blank(text, "js")):
        if not JS_FUNCTION.search(statement) or JS_CONTROL.match(statement):
            continue
        if not JS_GROUP.search(statement):
            named = JS_NAME.search(statement)
            yield Function(named.group(1) if named else "a function", start, end - start + 1)


def functions(path, text):
    ending = "." + path.rsplit(".", 1)[-1]
    if ending == ".py":
        return python_functions(text)
    if ending in INDENTED:
        return indented_functions(text, ending)
    if ending in (".h", ".cc", ".c"):
        return c_functions(text)
    if ending in (".js", ".mjs", ".cjs", ".ts"):
        return js_functions(text)
    return ()
