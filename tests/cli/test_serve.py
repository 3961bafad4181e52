"""``interp-steer serve``: what it refuses, and a whole life from start to Ctrl-C."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import openai
import pytest

SCRIPT = Path(sys.executable).with_name("interp-steer")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])  # noqa: S104 (it is refused)
def test_others_need_a_key(fails, host):
    message = fails("serve", "--model", "smollm2-135m", "--host", host)
    assert f"others can reach this machine at {host!r}" in message
    assert "INTERP_STEER_API_KEY" in message


def test_an_empty_key_is_none(fails):
    assert "the secret is empty" in fails("serve", "--model", "smollm2-135m", "--api-key", " ")


def test_a_run_of_another_model_is_refused(fails, run):
    message = fails("serve", "--model", "smollm2-135m", "--run", run.path)
    assert "these vectors belong to 'tiny'" in message


def test_from_start_to_ctrl_c(tmp_path):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "INTERP_STEER_API_KEY": "open sesame"}
    command = [str(SCRIPT), "serve", "--model", "smollm2-135m", "--port", "0", "--slots", "2", "--context", "256"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as server:
        try:
            told = []
            for line in server.stderr:
                told.append(line.strip())
                if "listening at" in line:
                    break
            assert told[-2:-1] == ["smollm2-135m"], told
            url = told[-1].removeprefix("listening at ")
            with openai.OpenAI(base_url=url, api_key="open sesame", max_retries=0) as client:
                assert [model.id for model in client.models.list()] == ["smollm2-135m"]
                reply = client.chat.completions.create(
                    model="smollm2-135m",
                    messages=[{"role": "user", "content": "What is the capital of France?"}],
                    temperature=0,
                    max_tokens=12,
                )
                assert "Paris" in reply.choices[0].message.content
            server.send_signal(signal.SIGINT)
            out, err = server.communicate(timeout=60)
        finally:
            server.kill()
    assert server.returncode == 0, err
    assert out == ""
    assert "Traceback" not in err
    assert "sesame" not in err + "".join(told)
