"""Write the shim's checksums, by which a project knows whether somebody changed it.

Fails if they were not true, so that nobody forgets to commit them.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "shim" / "src"))

from kedro_astro.__main__ import CHECKSUMS, checksums  # noqa: E402

if not CHECKSUMS.exists() or CHECKSUMS.read_text(encoding="utf-8") != checksums():
    CHECKSUMS.write_text(checksums(), encoding="utf-8")
    sys.exit("The shim has changed: its checksums are written anew. Commit them, then try again.")
