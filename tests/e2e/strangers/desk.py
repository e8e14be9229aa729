"""The agent that answers in these plays. Its tools write down that they ran, and little else."""

import asyncio
import os
from pathlib import Path

from fastbridge import Agent, CallContext

agent = Agent(
    instructions="You answer the phone. case={case}",
    greeting="Good morning.",
    hang_up=True,
    transfer_to={"reception": "+14155550188"},
    variables={"case": "none"},
)
agent.for_business("silent", settings={"silence_seconds": 3, "silence_prompts": 1})
agent.for_business("short", settings={"max_call_seconds": 35})
agent.for_business("noisy", settings={"noise_seconds": 4})
agent.for_business(
    "patient",
    settings={"turn_detection": "semantic_vad", "vad_eagerness": "low", "speed": 0.9, "max_output_tokens": 300},
)
_later: set[asyncio.Task[None]] = set()


@agent.on_call
def case(context: CallContext) -> dict[str, str]:
    return {"case": context.parameters.get("case", "none")}


def note(context: CallContext, name: str) -> None:
    with Path(os.environ["STRANGERS_RAN"]).open("a") as file:
        file.write(f"{context.call_sid} {name}\n")


@agent.tool
async def look_up(context: CallContext, what: str = "") -> str:
    """Looks something up, at once."""
    note(context, f"look_up {what}".strip())
    return f"Three rooms are free, {what}."


@agent.tool
async def slow(context: CallContext, seconds: float) -> str:
    """Takes its time."""
    await asyncio.sleep(seconds)
    note(context, "slow")
    return "It was slow."


@agent.tool
async def failing(context: CallContext) -> str:
    """Fails."""
    note(context, "failing")
    raise RuntimeError("the till is on fire")


@agent.tool
async def remind(context: CallContext, seconds: float, text: str) -> str:
    """Has the assistant say something later."""

    async def later() -> None:
        await asyncio.sleep(seconds)
        note(context, "remind")
        context.say(text)

    task = asyncio.create_task(later())
    _later.add(task)
    task.add_done_callback(_later.discard)
    return "I will."
