# SPDX-License-Identifier: MIT
"""The README's snippets of policies, WSGI and functions are run as they stand there."""

from __future__ import annotations

import re

import pytest
from conftest import ROOT

import tidegate
import tidegate.policy
from tidegate.testing import FakeClock

README = (ROOT / "bindings/python/README.md").read_text()
CHAPTERS = dict(re.findall(r"^## (.*)\n((?:.*\n)*?)(?=## |\Z)", README, re.M))
POLICIES, FUNCTIONS = (
    CHAPTERS["Policies in five minutes"],
    CHAPTERS["Flask, Django, functions, tasks"],
)


def snippets(chapter, kind="python"):
    return re.findall(rf"^```{kind}\n(.*?)^```", chapter, re.M | re.S)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where limits.yaml is, and everything is embedded."""
    (tmp_path / "limits.yaml").write_text(snippets(POLICIES, "yaml")[0])
    monkeypatch.chdir(tmp_path)


def run(text, **names):
    exec(compile(text.replace("redis://localhost", "memory://"), "README.md", "exec"), names)
    return names


def test_policies(folder):
    from asgi_driver import ask
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from tidegate.asgi import RateLimitMiddleware

    opened, checked, live, pure = snippets(POLICIES)
    app = Starlette(routes=[Route("/{any:path}", lambda request: PlainTextResponse("ok"))])
    names = run(opened, tidegate=tidegate, app=app, RateLimitMiddleware=RateLimitMiddleware)
    gate = names["gate"]
    with gate:
        key = {"x-api-key": "k_123"}
        assert ask(app, headers=key)["X-RateLimit-Limit"] == "500"
        assert ask(app, headers={"x-api-key": "k_evil"}).status == 403
        answers = []
        run(checked, gate=gate, answer=lambda *all: answers.append(all))
        assert answers == []
        gate.policy.set_caller("k_1", ban=True)
        run(checked, gate=gate, answer=lambda *all: answers.append(all))
        assert answers[0][0] == 403
        gate.policy.replace({})
        run(live, gate=gate)
        assert gate.policy.live()["live"]["limiters"]["basic"]["rate"] == "50/minute"
        assert ask(app, headers=key)["X-RateLimit-Limit"] == "50"  # basic is of pro's tier now
    run(pure, tidegate=tidegate)


def test_wsgi(folder):
    from flask import Flask
    from test_wsgi import ask, ok

    names = run(snippets(FUNCTIONS)[0], app=Flask("shop"), get_wsgi_application=lambda: ok)
    assert ask(names["application"], headers={"X-Any": "1"}).status == 200
    assert ask(names["app"].wsgi_app)["X-RateLimit-Limit"] == "100"


class Celery:
    """As much of it as the snippet touches: a task that is bound gets itself first."""

    def task(self, *, bind, max_retries):
        def decorate(function):
            task = type("Task", (), {"retry": lambda self, countdown: ("retry", countdown)})()
            return lambda *arguments: function(task, *arguments)

        return decorate


def test_functions(monkeypatch):
    monkeypatch.setenv("TIDEGATE_URL", "memory://?namespace=readme")
    names = run(snippets(FUNCTIONS)[1], tidegate=tidegate, celery=Celery())
    for _ in range(10):
        assert names["send_mail"]("ann", "hello") is None
    with pytest.raises(tidegate.RateLimitExceeded):
        names["send_mail"]("ann", "hello")
    names["send_mail"]("bob", "hello")
    assert names["encode"]("film") is None


def test_in_place_of_other_libraries(monkeypatch):
    import flask
    from asgi_driver import statuses
    from fastapi import Depends, FastAPI
    from test_wsgi import ask

    from tidegate.fastapi import RateLimit

    monkeypatch.setenv("TIDEGATE_URL", "memory://?namespace=others")
    app, flask_app = FastAPI(), flask.Flask("shop")
    with tidegate.connect() as gate:
        run(
            snippets(FUNCTIONS)[2],
            app=app,
            flask_app=flask_app,
            gate=gate,
            request=flask.request,
            tidegate=tidegate,
            Depends=Depends,
            RateLimit=RateLimit,
        )
        assert gate.limiter("10/minute", algorithm="fixed_window").peek("user:42").remaining == 9
    assert statuses(app, *["/slow"] * 6) == [200] * 5 + [429]
    answers = [ask(flask_app, "/slow") for _ in range(6)]
    assert [one.status for one in answers] == [200] * 5 + [429]
    assert answers[5]["Retry-After"] == "12"


def test_the_test_clock():
    run(snippets(CHAPTERS["Tests"])[0], tidegate=tidegate, FakeClock=FakeClock)
