"""What is done for a call when it is over, in a process of its own: `fastbridge worker`."""

from importlib.util import find_spec

from fastbridge.errors import NotInstalledError

if find_spec("dbos") is None:
    raise NotInstalledError("The worker's queue is not installed: pip install 'fastbridge[worker]'.")
