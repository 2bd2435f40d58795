# SPDX-License-Identifier: MIT
"""Frameworks that the documentation names, with their real packages: Quart, Litestar, Celery."""

from __future__ import annotations

import pytest
from asgi_driver import ask
from web_server import serving

import tidegate
from tidegate.asgi import RateLimitMiddleware
from tidegate.testing import FakeClock

POLICY = """
version: 1
limiters: {app: 2/minute}
rules:
  - {when: {path: /health}, exempt: true}
  - {limit: app}
callers: {k_evil: {ban: true}}
"""


@pytest.fixture
def gate():
    with tidegate.connect(policy=POLICY, clock=FakeClock()) as gate:
        yield gate


def key(request):
    return request.headers.get("x-api-key")


def check(app):
    with serving(app) as web:
        answers = [web.ask(f"/items/{i}") for i in range(3)]
        assert [one.status for one in answers] == [200, 200, 429]
        assert answers[0]["RateLimit"] == '"app";r=1;t=30'
        assert answers[2]["Content-Type"] == "application/problem+json"
        assert [web.ask("/health").status for _ in range(3)] == [200] * 3
        assert web.ask("/items/1", headers={"X-Api-Key": "k_evil"}).status == 403


def test_quart(gate):
    import quart

    app = quart.Quart("shop")

    @app.get("/items/<number>")
    async def item(number):
        return number

    @app.get("/health")
    async def health():
        return "ok"

    app.asgi_app = RateLimitMiddleware(app.asgi_app, store=gate, key=key)
    check(app)


def test_litestar(gate):
    import litestar
    from litestar.middleware import DefineMiddleware

    @litestar.get("/items/{number:int}")
    async def item(number: int) -> int:
        return number

    @litestar.get("/health")
    async def health() -> str:
        return "ok"

    app = litestar.Litestar(
        [item, health],
        middleware=[DefineMiddleware(RateLimitMiddleware, store=gate, key=key)],
        logging_config=None,  # its own would stay with this process, locks and all
    )
    check(app)


def test_celery(gate):
    import celery

    app = celery.Celery("jobs")
    app.conf.task_always_eager = True

    @app.task(bind=True, max_retries=1)
    @tidegate.limited(
        "1/minute",
        store=gate,
        on_denied=lambda decision, task, *rest: task.retry(countdown=decision.retry_after),
    )
    def encode(task, video):
        return video

    assert encode.delay("film").get() == "film"
    with pytest.raises(celery.exceptions.MaxRetriesExceededError):
        encode.delay("film").get()


def test_a_plain_application(gate):
    async def plain(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"plain"})

    assert ask(RateLimitMiddleware(plain, store=gate)).body == b"plain"
