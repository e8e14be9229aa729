"""An appointment desk on a database: who is calling, what is free, book it, exactly once.

    fastbridge serve examples/appointments.py:agent

DATABASE_URL is any SQLAlchemy address; by default a SQLite file in the working directory. The tools are plain
functions: fastbridge runs each in a thread of its own, so that a slow database never stops the audio.
"""

import os
import threading
from datetime import date, datetime, time, timedelta
from typing import Annotated

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from fastbridge import Agent, CallContext

OPENS, CLOSES, SLOT = time(9), time(17), timedelta(minutes=30)
MOST_OFFERED = 8

metadata = sa.MetaData()
customers = sa.Table(
    "customers",
    metadata,
    sa.Column("business_id", sa.String(64), primary_key=True),
    sa.Column("phone", sa.String(20), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
)
appointments = sa.Table(
    "appointments",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("business_id", sa.String(64), nullable=False),
    sa.Column("starts_at", sa.DateTime, nullable=False),
    sa.Column("phone", sa.String(20), nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("call_sid", sa.String(34), nullable=False),
    # The database, not the program, sees to it that a time is given to one caller only, whoever asks at once.
    sa.UniqueConstraint("business_id", "starts_at"),
)

agent = Agent(
    instructions=(
        "You answer the phone of {business}. It is {today}. The caller is {caller}. You make appointments of half an "
        "hour, on working days from nine to five. Never offer a time that check_availability has not given you. Repeat "
        "day and time and wait for a yes before you book. Be brief. When all is settled, say goodbye and hang up."
    ),
    greeting="Hello {name}, this is {business}. How can I help you?",
    hang_up=True,
    variables={"business": "the appointment desk", "name": "there", "caller": "somebody new", "today": "a working day"},
)

engine = sa.create_engine(os.environ.get("DATABASE_URL", "sqlite:///appointments.db"), pool_pre_ping=True)
prepared = threading.Event()
preparing = threading.Lock()


def database() -> sa.Engine:
    """The database, with its tables: made by whoever comes first."""
    if not prepared.is_set():
        with preparing:
            metadata.create_all(engine)
            prepared.set()
    return engine


@agent.on_call
def look_up(context: CallContext) -> dict[str, str]:
    """Who is calling? The greeting waits 600 ms for this at most, then it says "Hello there"."""
    known = sa.select(customers.c.name).where(
        customers.c.business_id == context.business_id, customers.c.phone == context.from_number
    )
    with database().connect() as connection:
        name = connection.scalar(known)
    today = {"today": date.today().strftime("%A, %d %B %Y")}
    if name is None:
        context.log("DB", "New customer", phone=context.from_number)
        return today
    context.customer_loaded(name)
    return {**today, "name": name, "caller": f"{name}, who has called before"}


@agent.tool
def check_availability(
    context: CallContext,
    day: Annotated[date, "the day, as YYYY-MM-DD"],
    not_before: Annotated[time, "the earliest time that suits the caller, as HH:MM"] = OPENS,
) -> dict[str, object]:
    """The free times of a day."""
    booked = sa.select(appointments.c.starts_at).where(
        appointments.c.business_id == context.business_id,
        appointments.c.starts_at.between(datetime.combine(day, time.min), datetime.combine(day, time.max)),
    )
    with database().connect() as connection:
        taken = set(connection.scalars(booked))
    free = [start for start in slots(day) if start not in taken and start.time() >= not_before.replace(tzinfo=None)]
    return {"day": day, "free": [f"{start:%H:%M}" for start in free[:MOST_OFFERED]]}


@agent.tool(timeout_seconds=8)
def schedule_appointment(
    context: CallContext,
    day: Annotated[date, "the day, as YYYY-MM-DD"],
    at: Annotated[time, "the time, as HH:MM"],
    name: Annotated[str, "the caller's name"],
) -> dict[str, object]:
    """Book one appointment, after the caller has said yes to its day and time."""
    starts_at = datetime.combine(day, at.replace(tzinfo=None))
    if starts_at not in slots(day):
        return {"booked": False, "why": "there are no appointments at that time"}
    wanted = {
        "business_id": context.business_id,
        "starts_at": starts_at,
        "phone": context.from_number,
        "name": name[:100],
        "call_sid": context.call_sid,
    }
    try:
        with database().begin() as connection:
            (appointment_id,) = connection.execute(appointments.insert().values(wanted)).inserted_primary_key
    except IntegrityError:
        return already_taken(context, starts_at)
    context.appointment_created(appointment_id, starts_at)
    return {"booked": True, "starts_at": starts_at}


def already_taken(context: CallContext, starts_at: datetime) -> dict[str, object]:
    """Asked for twice by the same caller, an appointment is booked once, and that is no error."""
    holder = sa.select(appointments.c.phone).where(
        appointments.c.business_id == context.business_id, appointments.c.starts_at == starts_at
    )
    with database().connect() as connection:
        phone = connection.scalar(holder)
    if phone == context.from_number:
        return {"booked": True, "starts_at": starts_at}
    return {"booked": False, "why": "somebody else has just taken that time"}


def slots(day: date) -> list[datetime]:
    """Every start of an appointment on this day; none at weekends."""
    if day.weekday() >= 5:
        return []
    first, last = datetime.combine(day, OPENS), datetime.combine(day, CLOSES) - SLOT
    return [first + number * SLOT for number in range((last - first) // SLOT + 1)]
