"""A worker beside the node, which logs by the same policy. Run: LOG_LEVEL=INFO python examples/worker.py"""

import logging
import os
import time
from queue import SimpleQueue

from fastbridge.logging import NOISY, configure, event, log_every

configure(noisy=(*NOISY, "boto3"), secrets=[os.environ.get("API_PASSWORD", "")])
logger = logging.getLogger("worker")
jobs = SimpleQueue()


def enqueue(name, job):
    jobs.put((name, job))
    event("JOB", "enqueued", job=name)
    if jobs.qsize() > 1:
        log_every(logger, "behind", 60.0, logging.WARNING, "%d jobs wait", jobs.qsize())


def work():
    name, job = jobs.get()
    began_s = time.monotonic()
    try:
        job()
        event("JOB", "completed", job=name, duration_ms=int((time.monotonic() - began_s) * 1000))
    except Exception:
        event("JOB", "failed", job=name, level=logging.ERROR, exc_info=True)


event("WORKER", "started", queues="default", pid=os.getpid())
for name in ("send the summary", "fetch the recording", "forget"):
    enqueue(name, lambda name=name: {"send the summary": 1, "forget": 2}[name])
while not jobs.empty():
    work()
