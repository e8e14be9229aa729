"""The agent that `fastbridge demo` calls: as much as an agent needs."""

from fastbridge import Agent

FREE = {
    "morning": "9:00, 10:30",
    "afternoon": "13:00, 13:45, 14:15, 15:00, 15:30, 15:50, 16:20, 17:00",
}

agent = Agent(
    instructions="You answer the phone of Maple Street Dental. Be brief. Look up free times before you offer any.",
    greeting="Maple Street Dental, good morning! How can I help you?",
    voice="marin",
)


@agent.tool
async def check_availability(day: str, part_of_day: str) -> str:
    """The free appointments of a day; part_of_day is morning or afternoon."""
    return f"{day}: {FREE.get(part_of_day, 'nothing free')}"
