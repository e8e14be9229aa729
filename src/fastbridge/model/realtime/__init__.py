"""The OpenAI Realtime dialect: one session, its responses, its function calls."""
