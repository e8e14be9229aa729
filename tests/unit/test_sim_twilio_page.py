"""Lists: which page, and which of the items."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from fastbridge.sim.twilio_http import Request, request_of
from fastbridge.sim.twilio_page import filters, page, within
from fastbridge.sim.twilio_reply import RefusedError

ITEMS: list[dict[str, object]] = [{"sid": number} for number in range(5)]


def request(target: str) -> Request:
    return request_of(b"GET", target.encode(), [], b"")


def shown(target: str) -> tuple[list[object], Any]:
    body = page(request(target), "items", ITEMS).body
    items = body["items"]
    assert isinstance(items, list)
    return [item["sid"] for item in items], body


def test_all_on_one_page() -> None:
    sids, body = shown("/x.json")
    assert sids == [0, 1, 2, 3, 4]
    assert (body["page"], body["page_size"], body["start"], body["end"]) == (0, 50, 0, 4)
    assert (body["next_page_uri"], body["previous_page_uri"]) == (None, None)


def test_from_page_to_page_and_back() -> None:
    sids, body = shown("/x.json?To=%2B1&PageSize=2")
    assert sids == [0, 1]
    assert urlsplit(body["next_page_uri"]).query.startswith("To=%2B1&PageSize=2&Page=1")
    sids, body = shown(body["next_page_uri"])
    assert sids == [2, 3]
    sids, last = shown(body["next_page_uri"])
    assert (sids, last["next_page_uri"]) == ([4], None)
    assert shown(last["previous_page_uri"])[0] == [2, 3]
    assert shown(last["first_page_uri"])[0] == [0, 1]


@pytest.mark.parametrize("query", ["PageSize=0", "PageSize=x", "Page=-1"])
def test_pages_that_there_are_not(query: str) -> None:
    with pytest.raises(RefusedError):
        shown(f"/x.json?{query}")


def test_filters() -> None:
    assert filters(request("/x?To=1&PageSize=2"), {"To", "From"}) == {"To": "1"}
    with pytest.raises(RefusedError, match="Unknown filter to"):
        filters(request("/x?to=1"), {"To"})


NOON = 1_700_049_600.0  # 2023-11-15 12:00 UTC


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, True),
        ({"StartTime": "2023-11-15"}, True),
        ({"StartTime": "2023-11-14"}, False),
        ({"StartTime": "2023-11-16"}, False),
        ({"StartTime>": "2023-11-15T12:00:00Z"}, True),
        ({"StartTime>": "2023-11-15T12:00:01Z"}, False),
        ({"StartTime<": "2023-11-15T12:00:00+00:00"}, True),
        ({"StartTime<": "2023-11-15T11:59:59"}, False),
        ({"StartTime>": "2023-11-15", "StartTime<": "2023-11-16"}, True),
        ({"EndTime": "2020-01-01"}, True),
    ],
)
def test_times(wanted: dict[str, str], found: bool) -> None:
    assert within(NOON, "StartTime", wanted) is found


def test_a_time_that_is_not_there_is_in_no_interval() -> None:
    assert within(None, "EndTime", {})
    assert not within(None, "EndTime", {"EndTime<": "2023-11-15"})
    with pytest.raises(RefusedError, match="Invalid date"):
        within(NOON, "StartTime", {"StartTime": "yesterday"})
