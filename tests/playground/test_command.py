"""``interp-steer playground``: what it refuses, and a whole life from start to Ctrl-C."""

import http.cookiejar
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

SCRIPT = Path(sys.executable).with_name("interp-steer")


def call(*arguments, cwd, **environment):
    return subprocess.run(
        [SCRIPT, "playground", *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--host", "0.0.0.0"], {}, "INTERP_STEER_PASSWORD"),  # noqa: S104 (it is refused)
        (["--host", "0.0.0.0"], {"INTERP_STEER_PASSWORD": " "}, "the secret is empty"),  # noqa: S104
        ([], {}, "no run with vectors in runs"),
    ],
)
def test_what_is_refused_before_a_model_is_loaded(tmp_path, arguments, environment, words):
    done = call(*arguments, cwd=tmp_path, **environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert words in done.stderr


def test_from_start_to_ctrl_c(runs, tmp_path):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "INTERP_STEER_PASSWORD": "open sesame"}
    (tmp_path / "runs").symlink_to(runs[0].parent)
    with subprocess.Popen(
        [SCRIPT, "playground", "--port", "0", "--slots", "2", "--context", "256"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path,
    ) as server:  # fmt: skip
        try:
            told = next(line for line in server.stderr if line.startswith("open "))
            url = told.removeprefix("open ").strip()
            visitor = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
            with visitor.open(f"{url}/health") as reply:
                assert json.load(reply) == {"status": "ok", "open": 0, "slots": 2}
            with visitor.open(url) as reply:
                assert reply.url == f"{url}/login"
            with pytest.raises(urllib.error.HTTPError) as caught:
                visitor.open(f"{url}/_nicegui/anything")
            with caught.value as reply:
                assert reply.code == 401
            secret = urllib.parse.urlencode({"password": "open sesame"}).encode()
            with visitor.open(f"{url}/login", data=secret) as reply:
                assert b"interp-steer playground" in reply.read()
                assert reply.url == f"{url}/"
            server.send_signal(signal.SIGINT)
            out, err = server.communicate(timeout=60)
        finally:
            server.kill()
    assert server.returncode == 0, err
    assert out == ""
    assert "Traceback" not in err
    assert not (tmp_path / ".nicegui").exists(), "nothing is written where it runs"
