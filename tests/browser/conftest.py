"""A real server, a real browser; a test fails on any error in the page, its console or the server's log."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.browser.serving import FLAGS, READY, ROOT, TIMEOUT, Server
from tests.recording import DYING, record

MOST_SERVERS = 3  # at a time; no test asks for more

sys.path.insert(0, str(ROOT / "tests" / "server"))


@pytest.fixture(scope="session")
def browser():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.fail("no Chromium found; on Debian: apt-get install -y --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS, timeout=TIMEOUT)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def serve():
    """serve(folder) -> Server, one per folder; the ones asked for last stay, for each takes its memory."""
    servers: dict[Path, Server] = {}

    def start(runs: Path) -> Server:
        servers[runs] = servers.pop(runs, None) or Server(runs)
        while len(servers) > MOST_SERVERS:
            servers.pop(next(iter(servers))).stop()
        return servers[runs]

    yield start
    for server in servers.values():
        server.stop()


@pytest.fixture
def visit(browser, serve):
    """visit(folder, width=1440, **query) -> Page that has loaded; checks for errors afterwards."""
    pages: list[tuple[Page, list[str], Server, int]] = []

    def open_page(runs: Path, *, width: int = 1440, theme: str | None = "light", **query) -> Page:
        server = serve(runs)
        context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(f"page error: {error}"))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: (errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        pages.append((page, errors, server, len(server.errors())))
        page.goto(server.url(**({"theme": theme} if theme else {}), **query))
        page.wait_for_function(READY)
        return page

    yield open_page
    for page, errors, server, known in pages:
        page.context.close()
        assert not errors
        assert server.errors()[known:] == []


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Path:
    """A folder with a sweep of four, a run whose name is HTML, a diverged and a damaged one."""
    import make_runs

    root = tmp_path_factory.mktemp("runs")
    for sigma in (0.011, 0.2):
        for seed in (0, 1):
            make_runs.make(root / "sweep" / f"sigma={sigma},seed={seed}", sigma=sigma, seed=seed)
    make_runs.make(root / "<img src=x onerror=alert(1)>", seed=3)
    make_runs.make(root / "wood", problem="wood", state="diverged")
    make_runs.damage(root / "broken")
    return root


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """Real runs, trained by the command line: a descent with noise, one on mini-batches, one by Adam."""
    root = tmp_path_factory.mktemp("trained")
    for name, *options in (
        ("rosenbrock", "experiment=rosenbrock"),
        ("galaxy", "experiment=galaxy_minibatch", "train.steps=45"),
        ("adam", "problem=rosenbrock", "optimizer=adam", "precision=float64", "train.steps=30"),
    ):
        command = [sys.executable, "-m", "gdlab", *options, f"hydra.run.dir={root / name}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="session")
def dumped(tmp_path_factory) -> Path:
    """Small real runs: "digits" with 21 dumps, "dying" in which filters die, and "plain" without dumps."""
    root = tmp_path_factory.mktemp("dumped")
    record(root / "digits", "experiment=digits_adam", "train.steps=60", dumps=3)
    record(root / "dying", *DYING)
    record(root / "plain", "experiment=digits_adam", "train.steps=6")
    return root
