"""The node for `uvicorn asgi:app`; FASTBRIDGE_AGENT=my_agent:agent names your agent."""

from fastbridge.asgi import app as app
