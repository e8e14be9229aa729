"""outbound.placer: each call once, and each of them to its end, whatever the carrier's answers come to."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from fastbridge.carrier.port import Placed, PlacedCall, Placement, Refused, TryLater, Uncertain
from fastbridge.config import Settings
from fastbridge.outbound.placer import (
    CHECK_SECONDS,
    LATE_SECONDS,
    LEASE_SECONDS,
    NOT_THERE,
    RECORD_SECONDS,
    UNCERTAIN_SECONDS,
    Busy,
    NoNumber,
    OtherCall,
    Placer,
)
from fastbridge.outbound.requests import CallRequest
from fastbridge.store.outbound import OutboundCall, OutboundStore
from outbound_rig import FROM, SIDS, TO, Carrier


class Scene:
    """A database and a carrier, which outlive a node."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/x.db"
        self.carrier = Carrier()
        self.now_s = float(int(time.time()))
        self.settings = Settings(public_url="https://voice.example.com", twilio_phone_number=FROM, _env_file=None)
        self.node: dict[str, Any] = {}
        """What else a node gives its placer."""

    def run(self, *steps: Callable[[Placer], Coroutine[Any, Any, Any]]) -> list[Any]:
        """In one node's life."""

        async def live() -> list[Any]:
            loop = asyncio.get_running_loop()
            store = OutboundStore(self.url, lambda: self.now_s)
            given = {"spawn": loop.create_task, "now_s": lambda: self.now_s, **self.node}
            placer = Placer(store, self.carrier, self.settings, **given)
            try:
                return [await step(placer) for step in steps]
            finally:
                await placer.close()

        return asyncio.run(live())

    def ask(self, **given: Any) -> OutboundCall:
        return self.asked(**given)[0]

    def asked(self, **given: Any) -> tuple[OutboundCall, bool]:
        (found,) = self.run(lambda placer: placer.ask(CallRequest.model_validate({"to": TO, **given})))
        return found  # type: ignore[no-any-return]

    def tell(self, call_sid: str, state: str, sequence: int | None = None, **params: str) -> None:
        self.run(lambda placer: placer.told(call_sid, state, sequence, params))

    def sweep(self, after_seconds: float = 0.0) -> int:
        self.now_s += after_seconds
        (count,) = self.run(lambda placer: placer.sweep())
        return int(count)

    def row(self, call_id: str) -> OutboundCall:
        (row,) = self.run(lambda placer: placer.get(call_id))
        assert isinstance(row, OutboundCall)
        return row

    @property
    def records(self) -> list[dict[str, Any]]:
        engine = sa.create_engine(self.url)
        with engine.connect() as connection:
            texts = connection.execute(sa.text("select record from fastbridge_calls")).scalars().all()
        engine.dispose()
        return [json.loads(text) for text in texts]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    return Scene(tmp_path)  # type: ignore[return-value]


class TestAsking:
    def test_the_carrier_is_told_where_to_ask_and_whom_to_tell(self, scene: Scene) -> None:
        row = scene.ask(business_id="7", parameters={"name": "Dana & Co"}, timeout=20, machine=True)
        (placement,) = scene.carrier.placements
        assert (row.call_sid, row.state) == (SIDS[0], "queued")
        url = "https://voice.example.com/webhook"
        assert placement == Placement(
            TO,
            FROM,
            f"{url}/outbound_call?outbound_id={row.id}&business_id=7&machine=1&name=Dana+%26+Co",
            f"{url}/call_status?outbound_id={row.id}",
            20,
            True,
        )

    @pytest.mark.parametrize(
        ("told", "rings"),
        [("initiated", 1), ("ringing", 1), ("in-progress", 0), ("busy", 0), ("no-answer", 0), ("canceled", 0)],
    )
    def test_a_call_rings_until_it_is_answered_or_has_ended(self, scene: Scene, told: str, rings: int) -> None:
        async def ask(placer: Placer) -> int:
            await placer.ask(CallRequest.model_validate({"to": TO}))
            return len(placer.ringing)

        async def tell(placer: Placer) -> int:
            await placer.told(SIDS[0], told, 1, {})
            return len(placer.ringing)

        assert scene.run(ask, tell) == [1, rings]

    def test_what_was_not_placed_does_not_ring(self, scene: Scene) -> None:
        scene.carrier.answers = [Refused("no such number", 21211)]

        async def ask(placer: Placer) -> int:
            await placer.ask(CallRequest.model_validate({"to": TO}))
            return len(placer.ringing)

        assert scene.run(ask) == [0]

    def test_the_same_key_is_the_same_call(self, scene: Scene) -> None:
        first, again = scene.asked(idempotency_key="k"), scene.asked(idempotency_key="k")
        assert (first[1], again[1]) == (True, False)
        assert first[0].id == again[0].id
        assert len(scene.carrier.placements) == 1

    def test_two_who_ask_at_once_are_both_told_of_the_one_call(self, scene: Scene) -> None:
        scene.carrier.seconds = 0.3
        request = CallRequest.model_validate({"to": TO, "idempotency_key": "k"})

        async def both(placer: Placer) -> list[Any]:
            return await asyncio.gather(*(placer.ask(request) for _ in range(5)))

        (told,) = scene.run(both)
        assert {row.call_sid for row, _ in told} == {SIDS[0]}
        assert sum(new for _, new in told) == 1
        assert len(scene.carrier.placements) == 1

    def test_the_same_key_for_another_call_is_refused(self, scene: Scene) -> None:
        scene.ask(idempotency_key="k")
        with pytest.raises(OtherCall):
            scene.ask(idempotency_key="k", timeout=20)

    def test_without_a_number_to_call_from_nothing_is_asked(self, scene: Scene) -> None:
        scene.settings = Settings(public_url="https://voice.example.com", _env_file=None)
        with pytest.raises(NoNumber):
            scene.ask()
        assert scene.ask(**{"from": FROM}).call_sid == SIDS[0]

    def test_what_was_refused_has_ended_and_a_record(self, scene: Scene) -> None:
        scene.carrier.answers = [Refused(21211, "The number to call is no valid telephone number: check it.")]
        row = scene.ask(idempotency_key="k")
        assert (row.state, row.code, row.call_sid) == ("failed", 21211, None)
        (record,) = scene.records
        assert (record["call_sid"], record["end_reason"], record["outbound_id"]) == (row.id, "failed", row.id)
        assert record["errors"] == ["The number to call is no valid telephone number: check it."]
        assert record["to"] == "+1415****01"
        assert scene.asked(idempotency_key="k") == (scene.row(row.id), False), "and is not asked for again"
        assert len(scene.carrier.placements) == 1

    def test_where_there_is_no_place_nothing_is_kept_and_the_key_is_free(self, scene: Scene) -> None:
        scene.carrier.answers = [TryLater(3.0, "not now")]
        with pytest.raises(Busy) as busy:
            scene.ask(idempotency_key="k")
        assert busy.value.seconds == 3.0
        assert scene.asked(idempotency_key="k")[1]
        assert scene.records == []


class TestUncertain:
    def ask(self, scene: Scene) -> OutboundCall:
        scene.carrier.answers = [Uncertain("ReadTimeout")]
        row = scene.ask(idempotency_key="k")
        assert (row.state, row.call_sid) == ("placing", None)
        return row

    def test_is_not_asked_for_again(self, scene: Scene) -> None:
        row = self.ask(scene)
        for _ in range(30):
            scene.sweep(10)
        assert len(scene.carrier.placements) == 1
        assert (scene.row(row.id).state, scene.row(row.id).reason) == ("failed", NOT_THERE)
        assert [record["end_reason"] for record in scene.records] == ["failed"]

    def test_reports_itself(self, scene: Scene) -> None:
        row = self.ask(scene)
        scene.tell(SIDS[7], "ringing", 1, outbound_id=row.id)
        assert (scene.row(row.id).state, scene.row(row.id).call_sid) == ("ringing", SIDS[7])

    def test_is_found(self, scene: Scene) -> None:
        other = scene.ask()
        row = self.ask(scene)
        scene.carrier.there = {sid: PlacedCall(sid, "ringing") for sid in (other.call_sid or "", SIDS[8])}
        scene.sweep(10)
        assert scene.row(row.id).call_sid == SIDS[8], "and not one that is known"

    def test_is_not_given_up_while_the_carrier_does_not_answer(self, scene: Scene) -> None:
        row = self.ask(scene)
        scene.carrier.reachable = False
        for _ in range(10):
            scene.sweep(UNCERTAIN_SECONDS)
        assert scene.row(row.id).state == "placing"
        scene.carrier.reachable = True
        scene.carrier.there = {SIDS[9]: PlacedCall(SIDS[9], "completed", 12)}
        scene.sweep(10)
        scene.sweep(10)
        assert (scene.row(row.id).state, scene.row(row.id).duration_seconds) == ("completed", 12)

    def test_so_is_one_whose_node_died_while_it_asked(self, scene: Scene) -> None:
        request = CallRequest.model_validate({"to": TO})
        store = OutboundStore(scene.url, lambda: scene.now_s)
        row, _ = store.ask(request.document(), key=None, digest="", due_s=None, lease_seconds=LEASE_SECONDS)
        store.close()
        scene.sweep(LEASE_SECONDS - 1)
        assert scene.row(row.id).state == "placing"
        scene.sweep(UNCERTAIN_SECONDS)
        assert scene.row(row.id).state == "failed"
        assert scene.carrier.placements == []


class TestMeanwhile:
    """What is told, or done by others, between a look and what comes of it."""

    def test_one_that_reports_itself_while_it_is_looked_for_is_not_given_up(self, scene: Scene) -> None:
        row = TestUncertain().ask(scene)
        scene.now_s += UNCERTAIN_SECONDS + 1

        async def swept(placer: Placer) -> None:
            async def find(*_: Any) -> list[PlacedCall]:
                await placer.told(SIDS[7], "ringing", 1, {"outbound_id": row.id})
                return []

            scene.carrier.find = find  # type: ignore[method-assign]
            await placer.sweep()

        scene.run(swept)
        assert (scene.row(row.id).state, scene.row(row.id).call_sid, scene.records) == ("ringing", SIDS[7], [])

    def test_one_that_ends_while_it_is_looked_up_is_settled_once(
        self, scene: Scene, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "fastbridge.events")
        scene.ask()
        scene.now_s += 100

        async def swept(placer: Placer) -> None:
            async def look_up(call_sid: str) -> PlacedCall:
                await placer.told(call_sid, "busy", 3, {})
                return PlacedCall(call_sid, "ringing")

            scene.carrier.look_up = look_up  # type: ignore[method-assign]
            await placer.sweep()

        scene.run(swept)
        assert scene.sweep(10_000) == 0
        assert caplog.text.count("outcome=busy") == 1

    def test_books_that_another_process_has_closed_are_counted_there(self, scene: Scene) -> None:
        scene.ask()
        scene.tell(SIDS[0], "completed", 3)
        scene.now_s += RECORD_SECONDS + 1
        other = OutboundStore(scene.url, lambda: scene.now_s)

        async def swept(placer: Placer) -> dict[str, int]:
            settle = placer._store.settle

            def late(*given: Any) -> bool:
                other.settle(*given)
                return settle(*given)

            placer._store.settle = late  # type: ignore[method-assign]
            await placer.sweep()
            return placer.outcomes

        assert scene.run(swept) == [{}]
        assert len(scene.records) == 1
        other.close()

    def test_one_that_is_being_placed_is_not_taken_for_another_between_the_same_numbers(self, scene: Scene) -> None:
        lost = TestUncertain().ask(scene)
        scene.now_s += 10

        async def asked(placer: Placer) -> OutboundCall:
            async def place(placement: Placement) -> Placed:
                scene.carrier.there = {SIDS[3]: PlacedCall(SIDS[3], "queued")}
                await placer.sweep()
                return Placed(SIDS[3], "queued")

            scene.carrier.place = place  # type: ignore[method-assign]
            return (await placer.ask(CallRequest.model_validate({"to": TO})))[0]

        (row,) = scene.run(asked)
        assert (row.call_sid, scene.row(lost.id).call_sid) == (SIDS[3], None)
        scene.carrier.there[SIDS[4]] = PlacedCall(SIDS[4], "ringing")
        scene.sweep(10)
        assert scene.row(lost.id).call_sid == SIDS[4], "the other one is known by now"

    def test_where_two_answers_were_lost_each_has_a_call_in_the_end(self, scene: Scene) -> None:
        rows = [TestUncertain().ask(scene)]
        scene.carrier.answers = [Uncertain("ReadTimeout")]
        rows.append(scene.ask())
        scene.carrier.there = {sid: PlacedCall(sid, "ringing") for sid in SIDS[5:7]}
        for _ in range(4):
            scene.sweep(LEASE_SECONDS / 3)
        assert {scene.row(row.id).call_sid for row in rows} == set(SIDS[5:7])


class TestCallbacks:
    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 2, 1), (0, 2, 1), (1, 0, 2)])
    @pytest.mark.parametrize(
        ("end", "reason"), [("busy", "busy"), ("no-answer", "no_answer"), ("canceled", "canceled")]
    )
    def test_come_in_any_order_and_the_end_is_the_last_word(
        self, scene: Scene, order: tuple[int, ...], end: str, reason: str
    ) -> None:
        row = scene.ask()
        states = ("initiated", "ringing", end)
        for number in order:
            scene.tell(SIDS[0], states[number], number, outbound_id=row.id)
        found = scene.row(row.id)
        assert (found.state, found.over) == (end, True)
        (record,) = scene.records
        assert (record["call_sid"], record["end_reason"], record["direction"]) == (SIDS[0], reason, "outbound")
        assert scene.sweep(10_000) == 0, "nothing is left to be looked at"

    def test_of_an_older_state_change_nothing(self, scene: Scene) -> None:
        row = scene.ask()
        scene.tell(SIDS[0], "in-progress", 2)
        scene.tell(SIDS[0], "ringing", 1)
        assert scene.row(row.id).state == "in-progress"

    def test_of_strangers_change_nothing(self, scene: Scene) -> None:
        row = scene.ask()
        scene.tell(SIDS[5], "completed", 3)
        scene.tell(SIDS[5], "completed", 3, outbound_id="OB" + "0" * 32)
        scene.tell(SIDS[5], "completed", 3, outbound_id=row.id)
        assert scene.row(row.id).state == "queued", "its sid is another"
        assert scene.records == []

    def test_that_do_not_come_are_asked_for(self, scene: Scene) -> None:
        row = scene.ask()
        scene.carrier.there = {SIDS[0]: PlacedCall(SIDS[0], "ringing")}
        scene.sweep(100)
        assert scene.row(row.id).state == "queued"
        scene.carrier.there = {SIDS[0]: PlacedCall(SIDS[0], "no-answer")}
        scene.sweep(CHECK_SECONDS + 1)
        assert scene.row(row.id).state == "no-answer"
        assert [record["end_reason"] for record in scene.records] == ["no_answer"]

    def test_are_asked_for_again_soon_where_the_carrier_does_not_answer(self, scene: Scene) -> None:
        row = scene.ask()
        scene.carrier.there = {SIDS[0]: PlacedCall(SIDS[0], "no-answer")}
        scene.carrier.reachable = False
        scene.sweep(100)
        scene.carrier.reachable = True
        scene.sweep(6)
        assert scene.row(row.id).state == "no-answer"

    def test_say_how_long_it_was_and_who_answered(self, scene: Scene) -> None:
        row = scene.ask()
        scene.tell(SIDS[0], "completed", 3, duration_seconds="17", answered_by="human")
        found = scene.row(row.id)
        assert (found.duration_seconds, found.answered_by) == (17, "human")

    def test_of_who_has_answered_are_kept(self, scene: Scene) -> None:
        row = scene.ask(machine=True)
        scene.run(lambda placer: placer.answered_by(SIDS[0], "machine"))
        scene.run(lambda placer: placer.answered_by(SIDS[9], "human"))
        assert scene.row(row.id).answered_by == "machine"

    def test_may_say_nonsense(self, scene: Scene) -> None:
        row = scene.ask()
        scene.tell(SIDS[0], "completed", 3, duration_seconds="-1", code="x" * 99, answered_by="")
        assert scene.row(row.id).duration_seconds is None


def keep_record(scene: Scene) -> None:
    """As the node's store does."""
    engine = sa.create_engine(scene.url)
    with engine.begin() as connection:
        columns = "call_sid, stream_sid, version, started_at, duration_ms, direction, turns, barge_ins, record"
        values = f"'{SIDS[0]}', 'MZ1', 2, '2026', 1, 'outbound', 1, 0, '{{\"end_reason\": \"customer_hangup\"}}'"
        connection.execute(sa.text(f"insert into fastbridge_calls ({columns}) values ({values})"))
    engine.dispose()


class TestConversation:
    def test_has_a_record_of_its_own(self, scene: Scene) -> None:
        row = scene.ask()
        scene.tell(SIDS[0], "completed", 3)
        keep_record(scene)
        scene.sweep(RECORD_SECONDS + 1)
        assert [record["end_reason"] for record in scene.records] == ["customer_hangup"]
        assert (scene.row(row.id).outcome, scene.row(row.id).reason) == ("completed", None)

    def test_is_settled_at_its_end_where_its_record_is_there(
        self, scene: Scene, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "fastbridge.events")
        row = scene.ask()
        scene.tell(SIDS[0], "in-progress", 2)
        keep_record(scene)
        scene.tell(SIDS[0], "completed", 3)
        assert caplog.text.count("[OUTBOUND] ended, outcome=completed") == 1
        assert "to" not in scene.row(row.id).request
        assert scene.sweep(10_000) == 0

    def test_is_settled_as_soon_as_its_record_is_there(self, scene: Scene) -> None:
        row = scene.ask()
        scene.tell(SIDS[0], "completed", 3)
        assert scene.sweep(5.0) == 1
        assert scene.row(row.id).outcome is None
        keep_record(scene)
        assert scene.sweep(5.0) == 1
        assert scene.row(row.id).outcome == "completed"
        assert "to" not in scene.row(row.id).request

    def test_whose_node_died_has_one_too(self, scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "fastbridge.events")
        row = scene.ask()
        began_s = scene.now_s + 40
        scene.now_s += 55
        scene.tell(SIDS[0], "completed", 3, duration_seconds="15")
        scene.sweep(RECORD_SECONDS - 1)
        assert scene.records == []
        scene.sweep(2)
        assert [record["end_reason"] for record in scene.records] == ["node_lost"]
        assert datetime.fromisoformat(scene.records[0]["started_at"]).timestamp() == began_s
        assert scene.row(row.id).outcome == "node_lost"
        assert "[OUTBOUND] ended, outcome=node_lost" in caplog.text
        scene.sweep(10_000)
        assert len(scene.records) == 1


class TestScheduled:
    def ask(self, scene: Scene) -> OutboundCall:
        row = scene.ask(schedule_at=datetime.fromtimestamp(scene.now_s + 3600, UTC).isoformat())
        assert (row.state, scene.carrier.placements) == ("scheduled", [])
        return row

    def test_is_placed_when_its_time_has_come_and_once(self, scene: Scene) -> None:
        row = self.ask(scene)
        scene.now_s = row.check_s - 1
        scene.sweep()
        assert scene.carrier.placements == []
        scene.sweep(2)
        scene.sweep()
        assert len(scene.carrier.placements) == 1
        assert scene.row(row.id).call_sid == SIDS[0]

    def test_may_be_canceled(self, scene: Scene) -> None:
        row = self.ask(scene)
        (done,) = scene.run(lambda placer: placer.cancel(row))
        scene.now_s = row.check_s + 1
        scene.sweep()
        assert (done, scene.row(row.id).state, scene.carrier.placements) == (True, "canceled", [])
        assert [record["end_reason"] for record in scene.records] == ["canceled"]

    def test_is_not_half_canceled_by_a_node_that_dies(self, scene: Scene) -> None:
        row = self.ask(scene)

        async def dies(placer: Placer) -> None:
            def dead(*_: Any, **__: Any) -> bool:
                raise RuntimeError("killed")

            placer._store.ended = dead  # type: ignore[method-assign]
            with pytest.raises(RuntimeError):
                await placer.cancel(row)

        scene.run(dies)
        assert scene.row(row.id).state == "scheduled"

    def test_cannot_be_canceled_once_it_is_being_placed(self, scene: Scene) -> None:
        row = self.ask(scene)
        store = OutboundStore(scene.url)
        assert store.start(row.id)
        store.close()
        assert scene.run(lambda placer: placer.cancel(row)) == [False]
        assert scene.row(row.id).state == "placing"

    def test_is_not_placed_by_a_node_that_would_turn_its_answer_away(self, scene: Scene) -> None:
        row = self.ask(scene)
        scene.now_s = row.check_s + 1
        scene.node["draining"] = lambda: True
        scene.sweep()
        assert (scene.row(row.id).state, scene.carrier.placements) == ("scheduled", [])
        scene.node["draining"] = lambda: False
        scene.sweep(LEASE_SECONDS)
        assert scene.row(row.id).call_sid == SIDS[0]

    def test_waits_for_a_place_but_not_for_ever(self, scene: Scene) -> None:
        row = self.ask(scene)
        scene.now_s = row.check_s + 1
        scene.carrier.answers = [TryLater(30.0, "not now")] * 1000
        scene.sweep()
        assert scene.row(row.id).state == "scheduled"
        for _ in range(int(LATE_SECONDS / 60) + 2):
            scene.sweep(60)
        assert (scene.row(row.id).state, scene.row(row.id).reason) == ("failed", "not now")


class TestCancel:
    def test_of_one_that_is_placed_is_the_carriers(self, scene: Scene) -> None:
        row = scene.ask()
        (done,) = scene.run(lambda placer: placer.cancel(row))
        assert (done, scene.carrier.ended, scene.row(row.id).state) == (True, [SIDS[0]], "queued")

    def test_of_one_that_is_over_is_done(self, scene: Scene) -> None:
        row = scene.ask()
        scene.tell(SIDS[0], "busy", 1)
        over = scene.row(row.id)
        assert scene.run(lambda placer: placer.cancel(over)) == [True]
        assert scene.carrier.ended == []


def test_whom_it_was_for_is_forgotten_with_its_end(scene: Scene) -> None:
    row = scene.ask(parameters={"name": "Dana"})
    assert scene.row(row.id).request["to"] == TO
    scene.tell(SIDS[0], "busy", 1)
    assert scene.row(row.id).request.keys() == {"timeout", "machine"}
    assert TO not in Path(scene.url.removeprefix("sqlite:///")).read_bytes().decode("latin-1")


def test_two_nodes_do_not_look_at_the_same_calls(scene: Scene) -> None:
    for _ in range(20):
        scene.ask()
    scene.now_s += 1000
    stores = [OutboundStore(scene.url, lambda: scene.now_s) for _ in range(2)]
    claimed = [row.id for store in stores for row in store.claim(50, 30.0)]
    for store in stores:
        store.close()
    assert len(claimed) == len(set(claimed)) == 20
