"""The same bridge in pure Python, for comparison: `python bench/baseline/serve.py`, set up like `fastbridge serve`.

It is what fastbridge is measured against, so it is written as well as Python allows: uvloop, one tick for all calls, no
task switch and no queue for a frame, no collector at work on objects that stay. It shares no compiled code with it.
"""

import asyncio
import functools
import gc
import json
import logging
import os
import secrets
import signal
import time
from collections.abc import Coroutine
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import uvloop
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import WebSocketException
from websockets.http11 import Request, Response

from bridge import Call, Listening
from connections import CarrierConnection, ModelConnection
from detector import Detectors
from fastbridge.carrier.admission import TERMINAL_STATUSES
from fastbridge.carrier.twilio.messages import parse_start
from fastbridge.carrier.twilio.signature import valid_handshake, valid_webhook
from fastbridge.carrier.twilio.twiml import busy_twiml, connect_twiml, hangup_twiml
from fastbridge.config import Settings, load_settings
from messages import decode_json
from pacing import Pacer

logger = logging.getLogger("baseline")

CONNECT_SECONDS = 5.0
MEDIA_PATH = "/media/"
BUSY = "All our lines are busy at the moment. Please call again in a few minutes."
FORM = "application/x-www-form-urlencoded"


class Node:
    """One process's calls, their webhooks and their sockets."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        detectors = Detectors(
            settings.max_calls,
            frames=settings.barge_in_frames,
            min_level_dbfs=settings.barge_in_threshold_dbfs,
            sensitivity_db=settings.barge_in_sensitivity_db,
            echo=settings.barge_in_echo,
        )
        self.listening = Listening(detectors)
        self.pacer = Pacer(settings.tick_us * 1000, self.listening.judge)
        self.calls: dict[str, Call] = {}
        self._admitted: dict[str, tuple[str, str, float]] = {}  # token: call, account, expiry
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until a signal."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        CarrierConnection.on_post = staticmethod(self._webhook)
        async with serve(
            self._hold,
            self.settings.host,
            self.settings.port,
            process_request=self._admit,
            create_connection=CarrierConnection,
            compression=None,
            max_size=65_536,
            ping_interval=None,
            server_header=None,
            backlog=2048,
        ):
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 50, 100)
            logger.info("ready on port %d", self.settings.port)
            await stop.wait()
            for call in list(self.calls.values()):
                call.close("shutdown")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a task failed", exc_info=task.exception())

    # Webhooks.

    def _webhook(self, target: str, headers: dict[str, str], body: bytes) -> bytes:
        fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=256)
        secret = self.settings.twilio_auth_token
        signature = headers.get("x-twilio-signature", "")
        if secret is not None and not valid_webhook(
            secret.get_secret_value(), self.settings.public_url, target, fields, body, FORM, signature
        ):
            return http_response(HTTPStatus.FORBIDDEN, "text/plain", "Forbidden")
        path, params = target.partition("?")[0], dict(fields)
        if path == "/webhook/incoming_call":
            return http_response(HTTPStatus.OK, "text/xml", self._connect(params))
        if path == "/webhook/stream_ended":
            if params.get("CallSid") in self.calls:
                self.calls[params["CallSid"]].close("customer_hangup")
            return http_response(HTTPStatus.OK, "text/xml", hangup_twiml())
        if path == "/webhook/call_status":
            if params.get("CallSid") in self.calls and params.get("CallStatus") in TERMINAL_STATUSES:
                self.calls[params["CallSid"]].close("carrier_status")
            return http_response(HTTPStatus.NO_CONTENT, "text/plain", "")
        return http_response(HTTPStatus.NOT_FOUND, "text/plain", "Not Found")

    def _connect(self, params: dict[str, str]) -> str:
        """The TwiML for a call: its stream, behind a token good for one use and half a minute."""
        now = time.monotonic()
        self._admitted = {token: entry for token, entry in self._admitted.items() if entry[2] > now}
        if len(self.calls) + len(self._admitted) >= self.settings.max_calls:
            return busy_twiml(BUSY)
        token = secrets.token_urlsafe(16)
        expiry = now + self.settings.stream_token_seconds
        self._admitted[token] = (params.get("CallSid", ""), params.get("AccountSid", ""), expiry)
        action = f"{self.settings.public_url}/webhook/stream_ended"
        return connect_twiml(f"{self.settings.stream_url}{MEDIA_PATH}{token}", action, {})

    # The carrier's socket.

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """None for a media stream that may begin."""
        if request.path in ("/readyz", "/healthz"):
            return connection.respond(HTTPStatus.OK, json.dumps({"ready": True, "calls": len(self.calls)}))
        token = request.path.removeprefix(MEDIA_PATH)
        if token not in self._admitted or self._admitted[token][2] < time.monotonic():
            return connection.respond(HTTPStatus.FORBIDDEN, "the stream token is unknown, spent or expired\n")
        secret = self.settings.twilio_auth_token
        signature = request.headers.get("X-Twilio-Signature", "")
        if secret is not None and not valid_handshake(
            secret.get_secret_value(), self.settings.public_url, request.path, signature
        ):
            return connection.respond(HTTPStatus.FORBIDDEN, "the signature is wrong\n")
        assert isinstance(connection, CarrierConnection)
        connection.on_message = functools.partial(self._on_early_message, connection, token)
        return None

    async def _hold(self, connection: ServerConnection) -> None:
        assert isinstance(connection, CarrierConnection)
        try:
            async with asyncio.timeout(self.settings.start_deadline_seconds):
                await connection.started.wait()
        except TimeoutError:
            return
        await connection.wait_closed()

    def _on_early_message(self, carrier: CarrierConnection, token: str, text: str) -> None:
        """`connected`, then `start`, which must name the call that the token was given to."""
        try:
            message = decode_json(text)
        except ValueError:
            return
        if not isinstance(message, dict) or message.get("event") != "start":
            return
        start = parse_start(message)
        admitted = self._admitted.pop(token, ("", "", 0.0))
        if isinstance(start, str) or (start.call_sid, start.account_sid) != admitted[:2]:
            self._spawn(carrier.close(1008, "start refused"))
            return
        call = Call(
            settings=self.settings,
            start=start,
            carrier=carrier,
            pacer=self.pacer,
            listening=self.listening,
            ended=self._call_ended,
        )
        carrier.on_message = call.on_carrier_message
        carrier.on_paused = call.playout.pause
        carrier.on_lost = lambda code, reason: call.close("customer_hangup")
        carrier.started.set()
        self.calls[call.call_sid] = call
        self.pacer.acquire()
        self._spawn(self._dial(call))

    # The model's socket.

    async def _dial(self, call: Call) -> None:
        settings = self.settings
        base = "ws" + (settings.openai_base_url or "https://api.openai.com/v1").removeprefix("http").rstrip("/")
        key = settings.openai_api_key.get_secret_value() if settings.openai_api_key is not None else "none"

        def create(*args: Any, **options: Any) -> ModelConnection:
            # Events may come with the handshake's answer, before `connect` returns.
            call.model = ModelConnection(*args, **options)
            call.model.on_message = call.on_model_message
            call.model.on_paused = call.on_model_paused
            call.model.on_lost = lambda code, reason: call.on_model_failed(f"closed_{code}")
            return call.model

        try:
            connection = await connect(
                f"{base}/realtime?model={settings.model}",
                create_connection=create,  # type: ignore[arg-type]
                additional_headers={"Authorization": f"Bearer {key}"},
                compression=None,
                max_size=4 * 1024 * 1024,
                open_timeout=CONNECT_SECONDS,
                write_limit=1024 * 1024,
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            call.on_model_failed(f"connect_{type(error).__name__}")
            return
        if call.end_reason is not None:
            await connection.close()

    # The end.

    def _call_ended(self, call: Call) -> None:
        self.calls.pop(call.call_sid, None)
        self.pacer.release()
        logger.info("call_sid=%s ended: %s", call.call_sid, call.end_reason)
        if self.settings.records_dir is not None:
            self._spawn(asyncio.to_thread(write_record, self.settings.records_dir, call.record()))
        for connection in (call.model, call.carrier):
            if connection is not None:
                self._spawn(connection.close())


def http_response(status: HTTPStatus, content_type: str, text: str) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


def write_record(directory: Path, record: dict[str, Any]) -> None:
    """One JSON file per call, whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = directory / f"{record['call_sid']}.tmp"
    unfinished.write_text(json.dumps(record, indent=2) + "\n")
    os.replace(unfinished, unfinished.with_suffix(".json"))


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="[%(asctime)s] %(levelname)-8s [%(name)s] %(message)s")
    logging.getLogger("websockets").setLevel(logging.WARNING)
    settings = load_settings()
    settings.require_serving()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Node(settings).run())


if __name__ == "__main__":
    main()
