# SPDX-License-Identifier: MIT
"""python -m tidegate: the command line (tidegate --help)."""

import sys

from ._command import main

if __name__ == "__main__":
    sys.exit(main())
