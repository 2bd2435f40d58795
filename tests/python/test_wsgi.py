# SPDX-License-Identifier: MIT
"""The WSGI middleware, around plain applications, Flask and Django."""

from __future__ import annotations

import io
import json
import threading

import pytest
from conftest import wait_for
from web_server import serving_wsgi

import tidegate
import tidegate.aio
from tidegate.testing import FakeClock
from tidegate.wsgi import RateLimitMiddleware, decision_of


@pytest.fixture
def gate():
    with tidegate.connect(clock=FakeClock()) as gate:
        yield gate


class Answer:
    def __init__(self, app, path="/", method="GET", headers=(), mount="", peer="127.0.0.1"):
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": mount,
            "PATH_INFO": path.encode().decode("latin-1"),
            "REMOTE_ADDR": peer,
            "HTTP_HOST": "testserver",
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            "wsgi.version": (1, 0),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in dict(headers).items():
            environ["HTTP_" + name.upper().replace("-", "_")] = value
        self.body_iterable = app(environ, self.start)
        self.environ = environ

    def start(self, status, headers, error=None):
        self.status, self.fields = int(status[:3]), headers
        return lambda data: None

    def finish(self):
        self.body = b"".join(self.body_iterable)
        if hasattr(self.body_iterable, "close"):
            self.body_iterable.close()
        return self

    def __getitem__(self, name):
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} is there {len(values)} times: {values}"
        return values[0] if values else None


def ask(app, *arguments, **options):
    return Answer(app, *arguments, **options).finish()


def ok(environ, start):
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]


def limited(gate, limit="2/minute", app=ok, **options):
    return RateLimitMiddleware(app, limit, store=gate, **options)


@pytest.mark.parametrize("connect", [tidegate.connect, tidegate.aio.connect])
def test_requests_are_limited(connect):
    gate = connect(clock=FakeClock())
    app = limited(gate, name="api", key=lambda request: request.headers.get("X-Api-Key"))
    answers = [ask(app) for _ in range(3)]
    assert [one.status for one in answers] == [200, 200, 429]
    assert (
        answers[0]["RateLimit"] == '"api";r=1;t=30' and answers[0]["Content-Type"] == "text/plain"
    )
    assert answers[2]["Retry-After"] == "30"
    assert json.loads(answers[2].body)["violated-policies"] == ["api"]
    assert answers[2]["Content-Length"] == str(len(answers[2].body))
    assert ask(app, headers={"X-Api-Key": "k"}).status == 200
    assert ask(app, method="HEAD").body == b""
    gate._close()


def test_exempt_paths_and_preflights_ask_no_callable(gate):
    def key(request):
        raise KeyError("no key")

    app = limited(gate, key=key, exempt=["/health"])
    assert ask(app, "/health").status == 200 and ask(app, "/health", mount="/api").status == 200
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    assert ask(app, method="OPTIONS", headers=preflight).status == 200
    with pytest.raises(KeyError):
        ask(app, method="OPTIONS")


def test_a_mount_is_a_name(gate):
    app = limited(gate, "5/minute")
    assert ask(app, mount="/v1")["RateLimit-Policy"] == '"v1";q=5;w=60'
    assert ask(app)["RateLimit-Policy"] == '"5-per-60s";q=5;w=60'


def test_nested_middleware_charges_once_and_gives_back(gate):
    inner = limited(gate, "1/minute", name="inner")
    app = limited(gate, "100/minute", inner, name="outer")
    assert [ask(app).status for _ in range(10)] == [200] + [429] * 9
    assert gate.limiter("100/minute", "outer").peek("@127.0.0.1").remaining == 99
    policy = ask(app)["RateLimit-Policy"]
    assert policy == '"outer";q=100;w=60, "inner";q=1;w=60'


def test_own_answers_and_errors(gate):
    def own(text):
        def response(environ, start):
            start("420 Calm", [("Content-Type", "text/plain")])
            return [text]

        return response

    def tier(request):
        return "gold"

    app = limited(gate, on_denied=lambda request, decision: own(request.path.encode()))
    answers = [ask(app, "/a b") for _ in range(3)]
    assert answers[2].status == 420 and answers[2].body == b"/a b"
    assert answers[2]["Retry-After"] == "30"
    policy = "version: 1\nlimiters: {a: 1/s}\ntiers: {a: [a]}\nrules: [{limit: tier}]\n"
    with pytest.raises(tidegate.ConfigError, match="gold"):
        ask(limited(gate, None, policy=policy, tier=tier))
    hook = limited(
        gate,
        None,
        policy=policy,
        tier=tier,
        on_error=lambda request, error: own(error.name.encode()),
    )
    assert ask(hook).body == b"TG_EATTRIBUTE"


def test_callables_that_wait_are_refused(gate):
    class Later:
        def __await__(self):
            yield

    async def soon(request):
        return "k"

    async def later(request):
        await Later()

    assert ask(limited(gate, key=soon)).status == 200
    with pytest.raises(TypeError, match="waits"):
        ask(limited(gate, key=later))


def test_what_the_response_settles(gate):
    policy = """
version: 1
limiters: {logins: 5/minute, tokens: 1000/minute, jobs: {rate: 1 at once, lease: 1s}}
rules:
  - {when: {path: /login}, limit: logins, count: failed}
  - {when: {path: /chat}, limit: tokens, cost: 100, settle: "{used}"}
  - {when: {path: /job}, limit: jobs}
"""
    statuses = {"/login": iter(["200 OK", "401 No", "200 OK"])}

    def application(environ, start):
        start(next(statuses.get(environ["PATH_INFO"], iter(["200 OK"]))), [])
        environ["used"] = 30
        return iter([b"a", b"b"])

    def used(request):
        return {"used": request.environ["used"]}

    app = limited(gate, None, application, policy=policy, settle=used)
    left = [int(ask(app, "/login")["X-RateLimit-Remaining"]) for _ in range(3)]
    assert left == [4, 4, 3]
    ask(app, "/chat")
    assert gate.limiter("1000/minute", "tokens").peek("@127.0.0.1").remaining == 970
    held = Answer(app, "/job")
    assert ask(app, "/job").status == 429
    assert held.finish().body == b"ab"
    assert ask(app, "/job").status == 200


def test_a_slot_is_renewed_while_the_response_lasts():
    import time

    with tidegate.connect() as gate:
        app = limited(gate, "1 at once", lease="200ms")
        held = Answer(app)
        time.sleep(0.7)
        assert ask(app).status == 429
        held.finish()
        assert ask(app).status == 200
        wait_for(
            lambda: "tidegate-request" not in {one.name for one in threading.enumerate()},
            "the end of what renews",
        )


def test_threads_share_a_budget(url):
    with tidegate.connect(url, clock=FakeClock()) as gate:
        app = limited(gate, "50/hour", limited(gate, "100/hour", name="inner"), name="outer")
        found = []

        def work():
            found.extend(ask(app).status for _ in range(25))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [200] * 50 + [429] * 150
        assert gate.limiter("100/hour", "inner").peek("@127.0.0.1").remaining == 50


def test_an_application_that_fails_counts_as_500(gate):
    def fails(environ, start):
        raise RuntimeError("no")

    policy = "version: 1\nlimiters: {a: 5/minute}\nrules: [{limit: a, count: successful}]\n"
    app = limited(gate, None, fails, policy=policy)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            ask(app)
    assert gate.limiter("5/minute", "a").peek("@127.0.0.1").remaining == 5


def test_flask(gate):
    import flask

    app = flask.Flask("shop")
    app.wsgi_app = limited(
        gate,
        app=app.wsgi_app,
        exempt=["/health"],
        key=lambda request: request.headers.get("x-api-key"),
        on_denied=lambda request, decision: flask.Response("slow", 420),
    )

    @app.get("/items/<number>")
    def item(number):
        assert decision_of(flask.request.environ).limit == 2
        return {"number": number}

    @app.get("/health")
    def health():
        return "ok"

    with serving_wsgi(app) as web:
        answers = [web.ask(f"/items/{i}") for i in range(3)]
        assert [one.status for one in answers] == [200, 200, 420]
        assert answers[0]["RateLimit"] == '"2-per-60s";r=1;t=30' and answers[2].body == b"slow"
        assert [web.ask("/health").status for _ in range(3)] == [200] * 3
        assert web.ask("/items/1", headers={"X-Api-Key": "k"}).status == 200


def test_django(gate):
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    urls = type("urls", (), {"urlpatterns": [path("items/<int:n>", lambda r, n: HttpResponse(n))]})
    if not settings.configured:
        settings.configure(ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"], SECRET_KEY="x", DEBUG=False)
        django.setup()
    app = limited(gate, "2/minute", get_wsgi_application())
    with serving_wsgi(app) as web:
        answers = [web.ask(f"/items/{i}") for i in range(3)]
    assert [one.status for one in answers] == [200, 200, 429]
    assert answers[1].body == b"1" and answers[1]["X-RateLimit-Remaining"] == "0"
    assert answers[2]["Content-Type"] == "application/problem+json"
