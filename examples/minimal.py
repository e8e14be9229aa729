"""A receptionist for a small restaurant, with one tool. Run: fastbridge serve examples/minimal.py:agent"""

from fastbridge import Agent

agent = Agent(
    instructions="You answer the phone for Rosa's, a small restaurant. Be brief. For free tables always ask the tool.",
    greeting="Hello, this is Rosa's. How can I help you?",
    voice="marin",
    hang_up=True,
)

TABLES = {"friday": ["18:30", "21:00"], "saturday": ["17:00"]}


@agent.tool
async def free_tables(day: str, guests: int) -> str:
    """Times at which a table is free. day: a weekday in English, lower case; guests: how many people come."""
    times = TABLES.get(day, [])
    return f"For {guests} on {day}: {', '.join(times)}" if times else f"Nothing is free on {day}."
