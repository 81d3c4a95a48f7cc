"""Write the shim's checksums, by which a project knows whether somebody changed it."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "shim" / "src"))

from kedro_astro.integrity import CHECKSUMS, checksums  # noqa: E402
from kedro_astro.project import SHIM  # noqa: E402

(SHIM / CHECKSUMS).write_text(checksums(), encoding="utf-8")
