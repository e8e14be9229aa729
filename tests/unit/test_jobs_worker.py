"""jobs: the worker as it is run. Killed at any moment it loses no job, and repeats none that is done."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from fastbridge.store.records import RecordStore
from unit.test_store_outbox import call

SECONDS = 20.0
TWILIO = {"TWILIO_ACCOUNT_SID": "AC" + "1" * 32, "TWILIO_AUTH_TOKEN": "t" * 32}
AGENT = """
import time
from pathlib import Path
from fastbridge import Agent, JobRun

agent = Agent()
HERE = Path(__file__).parent

def note(name, key):
    with (HERE / name).open("a") as file:
        file.write(key + "\\n")

@agent.job
def follow_up(record, run: JobRun):
    note("begun", run.key)
    time.sleep(0.05)
    note("done", run.key)

@agent.job(tries=1)
def fails(record):
    raise ValueError("the card is 4242")

@agent.job(tries=1)
async def exits(record):
    raise SystemExit(3)
"""


class Shop:
    """A folder with an agent and a database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/x.db"
        self.processes: list[subprocess.Popen[bytes]] = []
        (folder / "my_agent.py").write_text(AGENT)

    def calls(self, *numbers: int, jobs: tuple[str, ...] = ("follow_up",)) -> None:
        store = RecordStore(self.url)
        for number in numbers:
            store.put(call(number), jobs=jobs)
        store.close()

    def start(self, agent: str = "my_agent:agent", **variables: str) -> "subprocess.Popen[bytes]":
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FASTBRIDGE_")}
        environment |= {"DATABASE_URL": self.url, "LOG_LEVEL": "INFO", **variables}
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "fastbridge", "worker", agent]
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def lines(self, name: str) -> Counter[str]:
        path = self.folder / name
        return Counter(path.read_text().split("\n")[:-1]) if path.exists() else Counter()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    for process in shop.processes:
        process.kill()
        process.wait()


def test_jobs_are_done_told_and_the_worker_stops_when_asked(shop: Shop) -> None:
    shop.calls(1, 2, jobs=("exits", "follow_up", "fails"))
    worker = shop.start(LOG_TRANSCRIPTS="0")
    shop.until(lambda: shop.log.count("Job completed") == 2 and shop.log.count("Job failed") == 4)
    shop.calls(3)  # while it runs
    shop.until(lambda: len(shop.lines("done")) == 3)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(SECONDS) == 0
    assert "Worker started, queues=fastbridge" in shop.log
    assert shop.log.count("Job enqueued") == 7
    assert "idle" not in shop.log
    assert "4242" not in shop.log
    assert set(shop.lines("done").values()) == {1}


def test_one_whose_place_another_has_taken_meanwhile_ends(shop: Shop) -> None:
    (shop.folder / "overtaken.py").write_text(
        AGENT + "import contextlib\nfrom fastbridge.jobs import worker\n\n"
        "worker.only_worker = lambda engine: contextlib.nullcontext(lambda: not (HERE / 'taken').exists())\n"
    )
    worker = shop.start("overtaken:agent")
    shop.until(lambda: "Worker started" in shop.log)
    (shop.folder / "taken").touch()
    assert worker.wait(SECONDS) != 0
    assert "Another worker is at work on this database" in shop.log
    assert "Traceback" not in shop.log


def test_a_signal_ends_it_also_while_its_queue_waits_for_the_database(shop: Shop) -> None:
    (shop.folder / "waits.py").write_text(
        AGENT + "import threading\nfrom fastbridge.jobs import queue\n\n"
        "def launch():\n    note('launched', 'x')\n    threading.Event().wait()\n\nqueue.DBOS.launch = launch\n"
    )
    worker = shop.start("waits:agent")
    shop.until(lambda: bool(shop.lines("launched")))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(SECONDS) == 0
    assert "Worker started" not in shop.log
    assert "Traceback" not in shop.log


def test_killed_at_any_moment_it_loses_none_and_repeats_none_that_was_done(shop: Shop) -> None:
    dice = Random(7)
    shop.calls(*range(1, 41))
    for round_ in range(6):
        before = sum(shop.lines("begun").values())
        worker = shop.start()
        if round_ < 5:
            more = before + dice.randint(0, 7)
            shop.until(lambda more=more: sum(shop.lines("begun").values()) >= more)
            time.sleep(dice.random() * 0.1)
            worker.kill()
            worker.wait()
    shop.until(lambda: len(shop.lines("done")) == 40)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(SECONDS) == 0
    done, begun = shop.lines("done"), shop.lines("begun")
    assert len(begun) == 40
    assert sum(begun.values()) - 40 <= 5 * 10, "what was at work when it was killed, and no more"
    again = shop.start()
    time.sleep(1.5)
    again.send_signal(signal.SIGTERM)
    again.wait()
    assert shop.lines("done") == done


def test_a_second_one_is_told_that_one_is_enough(shop: Shop) -> None:
    shop.calls(1)
    shop.start()
    shop.until(lambda: bool(shop.lines("done")))
    assert shop.start().wait(SECONDS) == 2
    assert "Another worker is at work" in shop.log


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"DATABASE_URL": "postgresql+psycopg://u@127.0.0.1:1/x"}, "u@127.0.0.1:1/x does not answer (OperationalError"),
        ({"DATABASE_URL": "none"}, "needs DATABASE_URL"),
        (
            {"DATABASE_URL": "sqlite:///x.db", "SSL_CERT_FILE": "/nowhere.pem"},
            "SSL_CERT_FILE: '/nowhere.pem' cannot be used",
        ),
        ({"FASTBRIDGE_GREETING": "x"}, "has no jobs, and no recordings are to be fetched"),
        ({"FASTBRIDGE_RECORDINGS_URL": "files"}, "for which Twilio's credentials are needed"),
        ({"FASTBRIDGE_RECORDINGS_URL": "ftp://x", **TWILIO}, "FASTBRIDGE_RECORDINGS_URL must be a folder"),
    ],
)
def test_what_cannot_be_is_a_sentence(shop: Shop, variables: dict[str, str], sentence: str) -> None:
    (shop.folder / "plain.py").write_text("from fastbridge import Agent\nagent = Agent()\n")
    agent = "my_agent:agent" if "DATABASE_URL" in variables else "plain:agent"
    assert shop.start(agent, **variables).wait(SECONDS) == 2
    assert sentence in shop.log
    assert "Traceback" not in shop.log


def test_jobs_of_another_agent_wait_and_are_told_of(shop: Shop) -> None:
    shop.calls(1, jobs=("of_another", "follow_up"))
    shop.start()
    shop.until(lambda: bool(shop.lines("done")) and "job=of_another" in shop.log)
