"""What goes on in the background, and its end."""

import asyncio

import pytest

import loops
from fastbridge.sim.signed_http import SignedHttp
from fastbridge.sim.twilio_callbacks import Callbacks
from fastbridge.sim.twilio_services import Services

pytestmark = pytest.mark.usefixtures("virtual_loops")


def test_work_in_the_background_ends_with_the_api_and_never_in_silence() -> None:
    loop = loops.virtual()
    errors: list[str] = []

    async def fails() -> None:
        raise RuntimeError("oh")

    async def run() -> asyncio.Task[None]:
        http = SignedHttp("")
        services = Services(loop.time, http, Callbacks(http, errors.append), errors.append)
        services.start(fails())
        sleeps = services.start(asyncio.sleep(3600))
        await asyncio.sleep(1)
        await services.close()
        return sleeps

    assert loop.run_until_complete(run()).cancelled()
    assert errors == ["the simulator failed: RuntimeError('oh')"]
