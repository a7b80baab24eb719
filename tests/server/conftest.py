"""Helpers of these tests that processes of their own import by name, as the server's worker does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
