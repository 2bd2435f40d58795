# SPDX-License-Identifier: MIT
"""Rate limits for any WSGI application: Flask, Django, Bottle, or one of your own.

    app.wsgi_app = RateLimitMiddleware(app.wsgi_app, limit="100/minute")            # Flask
    application = RateLimitMiddleware(get_wsgi_application(), limit="100/minute")   # Django

Bodies and streams pass untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from . import _tidegate
from ._answers import own_response
from ._base import BaseGate
from ._fields import Field, with_fields
from ._passage import Passage, Refusal, at_once, hold
from ._requests import Headers
from ._rule import Asked, Facts, Rule
from ._web import Holder

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._rule import Limits, Options

__all__ = ["RateLimitMiddleware", "Request", "decision_of"]
Environ = dict[str, Any]
Start = Callable[..., Any]
App = Callable[[Environ, Start], Iterable[bytes]]
PASSAGE = "tidegate"  # its place in the environment
REASONS = {403: "Forbidden", 429: "Too Many Requests", 503: "Service Unavailable"}
TOLD = {
    "HTTP_HOST": "host",
    "HTTP_ORIGIN": "@origin",
    "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "@requested_method",
    "HTTP_X_FORWARDED_FOR": "@forwarded_for",
}


class Request:
    """What key, cost, limit and exempt are given: environ, method, path, headers."""

    def __init__(self, environ: Environ):
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path = decoded(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")) or "/"

    @property
    def headers(self) -> Headers:
        sent = [(name[5:], value) for name, value in self.environ.items() if name[:5] == "HTTP_"]
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            sent.append((name, self.environ.get(name, "")))
        return Headers(
            (name.replace("_", "-").encode("latin-1"), value.encode("latin-1"))
            for name, value in sent
            if value
        )


def decoded(text: str) -> str:
    """A path of the environment: bytes as Latin-1."""
    return text.encode("latin-1").decode("utf-8", "replace")


def facts_of(environ: Environ) -> Facts:
    """Servers decode the path and applications go by that, so policies do: what is left of "%" is
    itself."""
    request = Request(environ)
    pairs: list[tuple[str, Any]] = [
        ("method", request.method),
        ("path", request.path.replace("%", "%25")),
        ("@peer", environ.get("REMOTE_ADDR", "")),
    ]
    for name, told in TOLD.items():
        if name in environ:
            pairs.append((told, environ[name].encode("latin-1")))
    paths = [request.path, decoded(environ.get("PATH_INFO", ""))]
    return Facts(request, request.method, pairs, paths, "HTTP_X_FORWARDED_FOR" in environ)


class RateLimitMiddleware:
    """Limits every request that passes. The arguments are those of
    tidegate.asgi.RateLimitMiddleware; callables take a tidegate.wsgi.Request, and what on_denied
    and on_error return is a WSGI application, such as Flask's and Werkzeug's responses. Slots are
    held until the response's iterable is closed.
    """

    def __init__(
        self,
        app: App,
        limit: Limits | Asked = None,
        *,
        store: BaseGate | str | None = None,
        **options: Unpack[Options],
    ):
        self.app = app
        self.rule = Rule(limit, **options)
        self.holder = Holder(store)
        self.holder.gate()  # a bad URL fails now

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        outermost = PASSAGE not in environ
        facts = facts_of(environ)
        try:
            passage = at_once(self._ask(facts, environ))
        except Exception as error:
            hook = self.rule.on_error
            response = at_once(own_response(hook, facts.request, error, "on_error"))
            if response is None:
                raise
            return response(environ, start)  # type: ignore[no-any-return]
        if passage is None:
            return self.app(environ, start)
        if not outermost:
            return self._inner(passage.refusal, facts, environ, start)
        held = Held(passage, self.rule, facts)
        try:
            held.body = self._inner(passage.refusal, facts, environ, held.starting(start))
        except BaseException:
            held.close()
            raise
        return held if passage.unfinished or passage.renew_after else held.body

    async def _ask(self, facts: Facts, environ: Environ) -> Passage | None:
        """None: the request is exempt."""
        if await self.rule.exempts(facts):
            return None
        passage: Passage = environ.setdefault(PASSAGE, Passage())
        gate, mount = self.holder.gate(), environ.get("SCRIPT_NAME", "").strip("/")
        place = _tidegate.place_name(decoded(mount), "", "") if mount else None
        parts = await self.rule.parts(gate, facts.request, self.rule, place)
        if passage.rule is None:
            passage.gate, passage.rule = gate, self.rule
        await passage.ask(gate, self.rule, facts, parts, blocking=True)
        return passage

    def _inner(
        self, refusal: Refusal | None, facts: Facts, environ: Environ, start: Start
    ) -> Iterable[bytes]:
        if refusal is None:
            return self.app(environ, start)
        hook = refusal.rule.on_denied or self.rule.on_denied
        response = at_once(own_response(hook, facts.request, refusal.decision, "on_denied"))
        if response is not None:
            return response(environ, adding(start, lambda: refusal.fields))  # type: ignore[no-any-return]
        status = f"{refusal.status} {REASONS.get(refusal.status, 'Refused')}"
        start(status, [(name.decode(), value.decode()) for name, value in refusal.headers])
        return [b"" if facts.method == "HEAD" else refusal.body]


def adding(start: Start, fields: Callable[[], list[Field]]) -> Start:
    """`start`, with our header fields beside those of the response."""

    def begin(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
        sent = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        said = with_fields(sent, fields())[len(sent) :]
        more = [(name.decode(), value.decode()) for name, value in said]
        return start(status, [*headers, *more], *error)

    return begin


class Held:
    """A response's body, until it is closed: then the request's checks are settled."""

    def __init__(self, passage: Passage, rule: Rule, facts: Facts):
        self.passage, self.rule, self.facts = passage, rule, facts
        self.status = 500
        self.body: Iterable[bytes] = ()
        self._closed = False
        self._stop = hold(passage)

    def starting(self, start: Start) -> Start:
        def begin(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            self.status = int(status[:3])
            return start(status, headers, *error)

        return adding(begin, self.passage.fields)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.body)

    def close(self) -> None:
        try:
            if hasattr(self.body, "close"):
                self.body.close()
        finally:
            self._stop()
            done, self._closed = self._closed, True
            if not done and self.passage.unfinished:
                used = at_once(self.rule.settled(self.facts.request))
                self.passage.finish(self.status, used, blocking=True)


def decision_of(environ: Environ) -> Any:
    """The last decision on a request (its WSGI environment), or None."""
    passage = environ.get(PASSAGE)
    return passage.decision() if isinstance(passage, Passage) else None
