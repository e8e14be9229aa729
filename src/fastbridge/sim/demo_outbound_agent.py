"""The agent of `fastbridge demo --outbound`: it calls, and leaves word where a machine answers."""

from fastbridge import Agent, AnsweredBy

MESSAGE = "This is Maple Street Dental, about your appointment on Thursday. Please call us back. Goodbye!"

agent = Agent(
    instructions="You call for Maple Street Dental, to confirm an appointment. Be brief.",
    greeting="Maple Street Dental, good morning! How can I help you?",
    voice="marin",
)


@agent.on_machine
def leave_word(machine: AnsweredBy) -> str:
    """Whoever it is hears what we want when he listens to his messages."""
    return MESSAGE
