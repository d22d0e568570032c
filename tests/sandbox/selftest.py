#!/usr/bin/env python3
"""Proves the sandbox provider itself, with Python's own clients. Names of
tests may be given, as for unittest."""

import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from selfcase import box                                    # noqa: E402
from selftest_control import *                              # noqa: E402,F403
from selftest_imap import *                                 # noqa: E402,F403
from selftest_oauth import *                                # noqa: E402,F403
from selftest_smtp import *                                 # noqa: E402,F403


if __name__ == "__main__":
    try:
        run = unittest.main(exit=False)
    finally:
        ended = box.stop()
    if ended != 0:
        print("the provider ended with %s" % ended, file=sys.stderr)
    sys.exit(not run.result.wasSuccessful() or ended != 0)
