"""Twilio: webhooks and TwiML, signatures, media streams, the REST API."""
