"""The node as an ASGI app, under the uvicorn that an operator already has."""

from e2e.strangers.house import BIN

FILES = {"asgi.py": "from fastbridge.asgi import app\n"}
COMMAND = [str(BIN / "uvicorn"), "asgi:app", "--host", "127.0.0.1", "--port", "PORT", "--log-level", "info"]
COMMAND += ["--ws", "websockets", "--timeout-keep-alive", "75"]
SETTINGS = {"FASTBRIDGE_INSTRUCTIONS": "You answer the phone. case=c0", "FASTBRIDGE_GREETING": "Good morning."}


async def test_uvicorn_carries_a_call(house):
    async def answer(r):
        await r.say("You are speaking to me under uvicorn.", 3000)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(800)
        await call.phone.hears("under uvicorn.", ms=1500)
        await call.phone.speak(800)
        await call.phone.hears("under uvicorn.", ms=2800)
        assert call.phone.clears
        assert call.model.events("conversation.item.truncate")
    record = await call.record()
    assert record["end_reason"] == "customer_hangup"
    assert [turn["role"] for turn in record["turns"]][:3] == ["assistant", "caller", "assistant"]
