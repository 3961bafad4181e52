"""Who comes in: asked over plain ASGI, with a stand-in for the page behind the door."""

import time

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from interp_steer.playground.door import Door


async def inside(_):
    return PlainTextResponse("inside")


async def talk(socket):
    await socket.accept()
    await socket.send_text("inside")
    await socket.close()


def visitor(password, host="127.0.0.1"):
    app = Starlette(routes=[*(Route(path, inside) for path in ("/", "/health", "/x")), WebSocketRoute("/ws", talk)])
    return TestClient(Door(app, password), base_url=f"http://{host}:8001", follow_redirects=False)


def hear(client, **headers):
    with client.websocket_connect("/ws", headers=headers) as socket:
        return socket.receive_text()


def test_without_a_password_this_machine_alone_is_let_in():
    for host in ("127.0.0.1", "localhost", "[::1]"):
        client = visitor(None, host)
        assert client.get("/").text == "inside"
        assert hear(client, host=f"{host}:8001") == "inside"
    away = visitor(None, "evil.example")
    assert (away.get("/").status_code, away.get("/health").status_code) == (403, 200)
    with pytest.raises(WebSocketDisconnect):
        hear(away, host="evil.example")


def test_a_page_elsewhere_is_not_answered():
    """The browser sends its visitor's cookie along; what gives the page away is its origin."""
    client = visitor(None)
    with pytest.raises(WebSocketDisconnect):
        hear(client, origin="http://evil.example", host="127.0.0.1:8001")
    assert client.get("/x", headers={"origin": "http://evil.example"}).status_code == 403
    assert hear(client, origin="http://127.0.0.1:8001", host="127.0.0.1:8001") == "inside"


def test_the_password_is_asked_for_once():
    client = visitor("sésame & co", "example.org")
    assert (client.get("/").status_code, client.get("/").headers["location"]) == (303, "/login")
    assert client.get("/x").status_code == 401
    with pytest.raises(WebSocketDisconnect):
        hear(client, host="example.org:8001")
    assert 'type="password"' in client.get("/login").text
    for wrong in ("", "sesame", "sésame & c", "x" * 9000):
        assert client.post("/login", data={"password": wrong}).status_code in {401, 413}
        assert client.get("/x").status_code == 401
    entered = client.post("/login", data={"password": "sésame & co"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=strict"} <= set(entered.headers["set-cookie"].split("; "))
    assert client.get("/x").text == "inside"
    cookie = entered.headers["set-cookie"].partition(";")[0]
    assert hear(client, host="example.org:8001", cookie=cookie) == "inside"
    assert visitor("sésame & co", "example.org").get("/x").status_code == 401


@pytest.mark.parametrize("cookie", ["interp_steer_playground=", "interp_steer_playground=é", "interp_steer_playground"])
def test_a_made_up_cookie_opens_nothing(cookie):
    assert visitor("sesame").get("/x", headers={"cookie": cookie.encode("latin-1")}).status_code == 401


def test_guessing_is_slow():
    client = visitor("sesame")
    started = time.monotonic()
    client.post("/login", data={"password": "a"})
    assert time.monotonic() - started >= 1


def test_a_page_may_reach_nothing_else():
    policy = visitor(None).get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy.replace("https", "")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_web_sockets_go_to_this_server_alone(host):
    policy = visitor(None, host).get("/").headers["content-security-policy"]
    (reached,) = (part.split()[1:] for part in policy.split("; ") if part.startswith("connect-src"))
    assert reached == ["'self'", f"ws://{host}:8001", f"wss://{host}:8001"]


@pytest.mark.parametrize("host", ["x; script-src *", "x ws:", "x,y"])
def test_a_made_up_host_adds_nothing_to_the_policy(host):
    policy = visitor("sesame").get("/login", headers={"host": host}).headers["content-security-policy"]
    (reached,) = (part.split()[1:] for part in policy.split("; ") if part.startswith("connect-src"))
    assert reached == ["'self'"]
