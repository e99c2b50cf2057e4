"""`python -m tests.upgrade COMMIT`."""

import sys

from tests.upgrade import freeze

freeze(sys.argv[1])
