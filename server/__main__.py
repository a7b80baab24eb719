"""`python -m server RUNS [--data-dir FOLDER] [--config-dir FOLDER] [--port N]`: serves runs on this machine.

With `--processes N` several server processes share the port (`server.processes`), as many readers need them.
Bound to 127.0.0.1. For anybody else on the network use `python -m bokeh serve server --args RUNS`, with
`--data-dir FOLDER` behind it and before `--args` Bokeh's own options for that: `--address`,
`--allow-websocket-origin`, `--auth-module`, `--cookie-secret`, `--ssl-certfile`, and signed sessions
(`BOKEH_SIGN_SESSIONS`, `BOKEH_SECRET_KEY`). Behind a proxy or an SSH tunnel under another name give that
name by `--allow-websocket-origin`. docs/security.md says what is promised of runs from elsewhere.
"""

import argparse
import os
import signal
import socket
import sys
import webbrowser
from pathlib import Path

from gdlab import __version__
from gdlab.messages import missing
from server.core import arguments

APP = Path(__file__).resolve().parent
PORT = 5006
EXAMPLES = f"""examples (python -m server, or, installed, gdlab-serve):
  python -m server runs                          the runs below the folder runs, at http://localhost:{PORT}/server
  python -m server runs --data-dir ~/data        of which some were trained on data that lie there
  python -m server runs --config-dir my_conf     with pages and views of your own (docs/tutorials/parts.md)
  python -m server runs --port 0 --no-browser    at a free port, whose address is printed
  python -m server runs --processes 4            for many readers at once
  python -m server.export runs --run rosenbrock -o rosenbrock.svg    one figure, for a paper

The server listens on this machine alone; docs/security.md says how others reach it, and what is promised of
runs that others recorded. Trainings are started by python -m gdlab (gdlab --help)."""


def main(argv: list[str] | None = None) -> int:
    """Serves until Ctrl-C; the exit code: 0, 1 where a server process cannot begin, or a part is missing,
    2 where a folder or the port cannot be used, 130 where Ctrl-C came before there was a server."""
    options = _parse(argv)
    if options.allow_control is None:
        options.allow_control = not options.allow_websocket_origin
    told = arguments.told(options)
    try:
        if complaint := _complaint(told):
            print(complaint, file=sys.stderr)
            return 2
        server = _server(options, told)
    except ChildProcessError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"port {options.port} cannot be used: {error.strerror}; choose one by --port", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        if not (lacking := missing(error)):
            raise
        print(lacking, file=sys.stderr)
        return 1
    _end_on_signals(server.io_loop)  # before the address is out: whoever reads it may end the server at once
    address = f"http://localhost:{server.port}/{APP.name}"
    print(f"gdlab shows {told.root.resolve()} at {address}  (Ctrl-C ends)", flush=True)
    if not options.no_browser and _has_display():
        server.io_loop.add_callback(webbrowser.open, address)
    server.io_loop.start()
    server.stop()
    return 0


def _complaint(told: arguments.Told) -> str:
    """What is wrong with the folders that were named, in words; "" where nothing is."""
    if not told.root.is_dir():
        return f"{told.root} is not a folder; give the one that your runs are recorded in"
    for folder in told.data:
        if not Path(folder).exists():
            return f"--data-dir {folder}: there is no such folder or zip"
    from server.shell import pages

    try:
        pages.pages(told.config_dir)
    except ValueError as error:
        return str(error)
    return ""


def _end_on_signals(loop) -> None:
    """Lets the loop end after what it is doing; a second signal ends the process at once. What is inherited
    as ignored (nohup, a script's background) stays so, but for SIGTERM."""

    def end(number, frame):
        signal.signal(number, signal.SIG_DFL)
        loop.add_callback_from_signal(loop.stop)

    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and (name == "SIGTERM" or signal.getsignal(number) is not signal.SIG_IGN):
            signal.signal(number, end)


def _server(options: argparse.Namespace, told: arguments.Told):
    """The running server. Raises OSError where the port is taken, ChildProcessError where one of several
    processes cannot begin."""
    if options.processes > 1:
        from server.processes.parent import Parent

        return Parent(options.processes, options.port, told, options.allow_websocket_origin)
    from bokeh.server.server import Server

    from server.core import runs_cache
    from server.shell import app

    origins = [f"{host}:{options.port}" for host in ("localhost", "127.0.0.1")]
    server = Server(
        app.served(told),
        port=options.port,
        address="127.0.0.1",
        # None: Bokeh allows localhost at the port that it finds
        allow_websocket_origin=origins + options.allow_websocket_origin if options.port else None,
    )
    server.start()
    runs_cache.shared(told.root).relist()  # so that the first page finds the list ready
    return server


def _parse(argv: list[str] | None) -> argparse.Namespace:
    installed = Path(sys.argv[0]).stem == "gdlab-serve"
    parser = argparse.ArgumentParser(
        prog="gdlab-serve" if installed else "python -m server",
        description=f"gdlab {__version__}: looks at recorded descents, in a browser.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gdlab {__version__}")
    arguments.add_to(parser)
    parser.add_argument("--port", type=_port, default=PORT, help=f"default {PORT}; 0 takes a free one")
    parser.add_argument(
        "--processes",
        type=_processes,
        default=1,
        metavar="N",
        help="server processes behind the one port, for many readers; default: 1",
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument(
        "--allow-websocket-origin",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="another name under which this machine's page is reached; may be repeated",
    )
    options = parser.parse_args(argv)
    if options.allow_websocket_origin and not options.port:
        parser.error("--allow-websocket-origin names a port, so --port must be given too")
    return options


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number between 0 and 65535")
    return int(text)


def _processes(text: str) -> int:
    count = arguments.count(text)
    if count > 1 and not hasattr(socket, "send_fds"):
        raise argparse.ArgumentTypeError(
            "this system cannot hand connections to another process: leave it at 1"
        )
    return count


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


if __name__ == "__main__":
    sys.exit(main())
