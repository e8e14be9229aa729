import json

import pytest

from fastbridge.sim import load_live_events
from openai.types.live import LiveServerEvent
from pydantic import TypeAdapter

FILLED = {1: b"0000000a", 3: b"000000ff", 4: b"1234"}
RAW = {"spoken": b"1534", "heard": b"1534", "started": b'"model":"gpt-live-1"'}
