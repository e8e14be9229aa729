"""outbound.callees: the list that comes in, and the one that goes out."""

import csv
import stat
from pathlib import Path
from typing import Any

import pytest

from fastbridge.errors import ConfigError
from fastbridge.outbound.callees import parse_hours, parse_retries, read_callees, write_results
from fastbridge.outbound.campaign import Callee, Retry


def read(folder: Path, text: str, *, with_zones: bool = False, **common: Any) -> list[Callee]:
    path = folder / "list.csv"
    path.write_text(text, encoding="utf-8")
    return read_callees(path, common=common, with_zones=with_zones)


def test_columns_are_parameters_but_those_that_are_the_calls(tmp_path: Path) -> None:
    (callee,) = read(
        tmp_path, "to,name,business_id,from,time_zone\n+14155550101, Dana ,7,+14155550100,Asia/Jerusalem\n", timeout=20
    )
    assert callee.to == "+14155550101"
    assert callee.request == {"timeout": 20, "business_id": "7", "from": "+14155550100", "parameters": {"name": "Dana"}}


def test_a_number_that_is_named_twice_is_called_once(tmp_path: Path) -> None:
    found = read(tmp_path, "to,name\n+14155550101,Dana\n+14155550102,Avi\n+14155550101,Dan\n")
    assert [(each.to, each.request["parameters"]["name"]) for each in found] == [
        ("+14155550101", "Dana"),
        ("+14155550102", "Avi"),
    ]


def test_a_spreadsheets_mark_and_empty_fields_are_no_matter(tmp_path: Path) -> None:
    (callee,) = read(tmp_path, "\ufeffto,name\n+14155550101,\n")
    assert callee.request == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must name the columns"),
        ("number\n+14155550101\n", "must name the columns"),
        ("to\n", "names nobody"),
        ("to\n0041\n", "line 2: to must be"),
        ("to\n+14155550101\n\n+1\n", "line 3: to must be"),
        ("to,Name\n+14155550101,x\n", "line 2: parameters"),
        ("to\n+14155550101,x\n", "line 2: it has more fields"),
        ("to,business_id\n+14155550101,a b\n", "line 2: business_id"),
        ("to\n" + "x\n" * 9, "and 4 more"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_before_anybody_is_called(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, text)


def test_a_file_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_callees(tmp_path / "none.csv", common={}, with_zones=False)
    (tmp_path / "latin.csv").write_bytes(b"to,name\n+14155550101,\xe4\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_callees(tmp_path / "latin.csv", common={}, with_zones=False)


class TestZones:
    def test_are_the_numbers(self, tmp_path: Path) -> None:
        text = "to\n+97225550000\n+442071234567\n+12125550100\n"
        found = [[str(zone) for zone in each.zones] for each in read(tmp_path, text, with_zones=True)]
        assert found == [["Asia/Jerusalem"], ["Europe/London"], ["America/New_York"]]

    def test_or_what_the_list_says(self, tmp_path: Path) -> None:
        (callee,) = read(tmp_path, "to,time_zone\n+12125550100,Europe/Berlin\n", with_zones=True)
        assert [str(zone) for zone in callee.zones] == ["Europe/Berlin"]
        with pytest.raises(ConfigError, match="line 2: time_zone 'Berlin' is none"):
            read(tmp_path, "to,time_zone\n+12125550100,Berlin\n", with_zones=True)

    def test_a_number_of_none_is_asked_about(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="line 2: its number tells no time zone"):
            read(tmp_path, "to\n+9991234567\n", with_zones=True)


def test_hours_are_two_times_or_any() -> None:
    hours = parse_hours("8:00-21:30")
    assert hours is not None
    assert (hours.since.hour, hours.until.minute) == (8, 30)
    assert parse_hours("any") is None
    for text in ("", "8-21", "8:00-25:00", "8:60-9:00", "08:00-08:00", "all"):
        with pytest.raises(ConfigError, match="--hours"):
            parse_hours(text)


def test_retries_are_outcome_times_and_seconds() -> None:
    assert parse_retries(["busy:2:300", "failed:1:60"]) == {"busy": Retry(2, 300.0), "failed": Retry(1, 60.0)}
    assert parse_retries([]) == {}
    for text in ("busy", "busy:2", "busy:x:1", "completed:1:1", "busy:2:300 "):
        with pytest.raises(ConfigError, match="--retry"):
            parse_retries([text])


def test_results_are_a_line_each_for_their_owners_eyes(tmp_path: Path) -> None:
    called = Callee("+14155550101", tries=2, outcome="completed")
    called.call = {"id": "OB1", "call_sid": "CA1", "duration_seconds": 7, "answered_by": None, "state": "completed"}
    waiting, ringing = Callee("+14155550102"), Callee("+14155550103", call={"id": "OB2", "state": "ringing"})
    path = tmp_path / "x.results.csv"
    write_results(path, [called, waiting, ringing])
    write_results(path, [called, waiting, ringing])
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["to"], row["outcome"]) for row in rows] == [
        ("+14155550101", "completed"),
        ("+14155550102", "waiting"),
        ("+14155550103", "under way"),
    ]
    assert (rows[0]["call_sid"], rows[0]["tries"], rows[0]["duration_seconds"]) == ("CA1", "2", "7")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["x.results.csv"]
