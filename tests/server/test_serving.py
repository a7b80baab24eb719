"""The two ways to start the server, and what its command line refuses."""

import re
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import make_runs
import pytest

from server import export
from server.__main__ import main

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def started(*arguments):
    """The process and the port that it names."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        port = next(
            match[1] for line in process.stdout if (match := re.search(r"localhost:(\d+)/server", line))
        )
        yield process, port
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "command",
    [
        ["server", "{runs}", "--port", "0", "--no-browser"],
        ["bokeh", "serve", "server", "--port", "0", "--args", "{runs}"],
    ],
)
def test_both_commands_serve_the_page(tmp_path, command):
    make_runs.make(tmp_path / "a")
    with started(*(part.format(runs=tmp_path) for part in command)) as (process, port):
        html = urllib.request.urlopen(f"http://localhost:{port}/server?page=runs").read().decode()
        assert 'data-page="descent"' in html
        assert "mathjax" not in html
        css = urllib.request.urlopen(f"http://localhost:{port}/server/static/page.css").read()
        assert b"inter-latin.woff2" in css
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_a_termination_ends_cleanly(tmp_path):
    with started("server", str(tmp_path), "--port", "0", "--no-browser") as (process, _):
        process.terminate()
        assert process.wait(20) == 0


def test_an_address_full_of_html_is_escaped(tmp_path):
    with started("server", str(tmp_path), "--port", "0", "--no-browser") as (_, port):
        query = "?page=%3Cscript%3Ealert(1)%3C/script%3E&theme=%22%3E%3Cscript%3Ealert(2)"
        html = urllib.request.urlopen(f"http://localhost:{port}/server{query}").read().decode()
        assert "alert(" not in html


def test_a_port_that_is_taken_is_named(tmp_path):
    command = ["server", str(tmp_path), "--no-browser", "--port"]
    with started(*command, "0") as (_, port):
        second = subprocess.run(
            [sys.executable, "-m", *command, port], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
    assert second.returncode == 2
    assert f"port {port} cannot be used" in second.stderr


def test_a_folder_that_is_missing_is_named(tmp_path, capsys):
    assert main([str(tmp_path / "missing"), "--no-browser"]) == 2
    assert "missing is not a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--port", "70000"], ["--port", "x"], ["--port", "0", "--allow-websocket-origin", "a"]]
)
def test_wrong_options_are_refused(tmp_path, capsys, arguments):
    with pytest.raises(SystemExit) as refused:
        main([str(tmp_path), *arguments])
    assert refused.value.code == 2
    assert "port" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--set", "k"], ["--format", "gif"]])
def test_export_refuses_wrong_options(tmp_path, arguments):
    with pytest.raises(SystemExit):
        export.main([str(tmp_path), *arguments])


def test_export_names_a_folder_that_is_missing(tmp_path, capsys):
    assert export.main([str(tmp_path / "missing")]) == 2
    assert "missing is not a folder" in capsys.readouterr().err
