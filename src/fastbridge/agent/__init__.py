"""What a user writes, an agent, and what becomes of it in a call: its tools, its hooks, its look-up."""

from fastbridge.agent.answered import AnsweredBy
from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.job import JobRun
from fastbridge.agent.tool import Tool

__all__ = ["Agent", "AnsweredBy", "CallContext", "JobRun", "Tool"]
