"""When this program began: the first of our modules that a command loads."""

import time

BEGAN = time.monotonic()
"""What a start took is counted from here: loading the modules is the larger part of it."""
