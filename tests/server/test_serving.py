"""The two ways to start the server, and what its command line refuses."""

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import make_runs
import pytest

from server import export
from server.__main__ import main

ROOT = Path(__file__).resolve().parents[2]


# `python -m ...` with signals as a shell would hand them on, however these tests were started themselves.
# Set in the child: a function between fork and exec runs in a copy of this process, threads of JAX and all.
AS_A_SHELL_WOULD = """
import os, signal, sys
ignored = {int(number) for number in sys.argv[1].split(",") if number}
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-m", *sys.argv[2:]])
"""


@contextmanager
def started(*arguments, ignoring=()):
    """The process and the port that it names; ignoring: signals that it inherits as ignored."""
    process = subprocess.Popen(
        [sys.executable, "-c", AS_A_SHELL_WOULD, ",".join(str(int(n)) for n in ignoring), *arguments],
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
        for address in (f"http://localhost:{port}/server", f"http://localhost:{port}/server/"):
            html = urllib.request.urlopen(address).read().decode()
            style = re.search(r'<link rel="stylesheet" href="([^"]*page.css)">', html)[1]
            css = urllib.request.urlopen(urllib.parse.urljoin(address, style)).read()
            assert b"inter-latin.woff2" in css
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_termination_ends_cleanly(tmp_path, number):
    with started("server", str(tmp_path), "--port", "0", "--no-browser") as (process, _):
        process.send_signal(number)
        assert process.wait(60) == 0
        assert "Traceback" not in process.stdout.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_is_inherited_as_ignored_stays_ignored(tmp_path, number):
    """As under nohup, or in the background of a script."""
    command = ("server", str(tmp_path), "--port", "0", "--no-browser")
    with started(*command, ignoring=(number, signal.SIGTERM)) as (process, port):
        process.send_signal(number)
        assert urllib.request.urlopen(f"http://localhost:{port}/server").status == 200
        process.terminate()  # which is always heard
        assert process.wait(60) == 0


def test_ctrl_c_while_the_server_is_loading_ends_it_without_a_traceback(tmp_path):
    code = "import server.__main__ as m; m._server = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt); "
    code += f"raise SystemExit(m.main([{str(tmp_path)!r}, '--no-browser']))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (130, "")


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


COMMANDS = {
    "own": ["server", "{runs}", "--port", "0", "--no-browser"],
    "bokeh": ["bokeh", "serve", "server", "--port", "0", "--args", "{runs}"],
    "named": [
        "bokeh", "serve", "server", "--port", "0",
        "--allow-websocket-origin", "lab.example:80", "--args", "{runs}",
    ],
}  # fmt: skip
PATHS = ("/server", "/server/static/page.css", "/server/ws", "/server/metadata", "/static/js/bokeh.js")


def asked(port, path, host=None):
    """(status, body) of a request under another name."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_requests_under_a_foreign_name_are_refused(tmp_path, command):
    with started(*(part.format(runs=tmp_path) for part in command)) as (_, port):
        for path in PATHS:
            for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example"):
                status, body = asked(port, path, host)
                assert status == 403 and "--allow-websocket-origin" in body, (path, host)
        for host in (None, "localhost", f"LOCALHOST:{port}", "127.0.0.1:9000", "[::1]:9000"):
            assert asked(port, "/server", host)[0] == 200, host
        assert asked(port, "/server", "lab.example")[0] == (200 if "lab.example:80" in command else 403)


def test_an_address_without_end_is_refused(tmp_path):
    with started("server", str(tmp_path), "--port", "0", "--no-browser") as (_, port):
        assert asked(port, "/server?" + "&".join(f"run={i:0100}" for i in range(60)))[0] == 200
        status, body = asked(port, "/server?filter=" + "x" * 20_000)
        assert status == 414 and "8000 characters" in body
