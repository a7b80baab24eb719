"""The server as its users start it, for tests and for the crawler."""

import re
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
READY = "document.documentElement.dataset.ready === 'yes' && Bokeh.documents[0].is_idle"
TIMEOUT = 180_000  # ms; a loaded machine is slow, not wrong


class Server:
    """`python -m server RUNS` on a free port; `log` collects what it prints."""

    def __init__(self, runs: Path):
        command = [sys.executable, "-m", "server", str(runs), "--port", "0", "--no-browser"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.runs, self.log, self._address = runs, [], threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._address.wait(TIMEOUT / 1000):
            raise RuntimeError("the server did not start:\n" + "".join(self.log))

    def _read(self) -> None:
        for line in self.process.stdout:
            self.log.append(line)
            if match := re.search(r"http://localhost:\d+/server", line):
                self.address = match[0]
                self._address.set()

    def url(self, **query) -> str:
        return f"{self.address}?{urlencode(query, doseq=True)}"

    def errors(self) -> list[str]:
        found = [
            i for i, line in enumerate(self.log) if re.search(r"ERROR|Traceback|WARNING.*exception", line)
        ]
        return ["".join(self.log[i : i + 25]) for i in found]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self._reader.join(5)
        self.process.stdout.close()
