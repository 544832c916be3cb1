#!/usr/bin/env python
"""Django's command line, with the laptop's settings unless told otherwise."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    root = Path(__file__).resolve().parent
    for source in ("platform", "workers", "models"):
        # appended, so that the standard library's own `platform` is never hidden
        if str(root / source) not in sys.path:
            sys.path.append(str(root / source))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "salus_web.config.settings.local")
    execute_from_command_line(sys.argv)
