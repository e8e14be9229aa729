"""Measures how soon PCM is told from mu-law, and how seldom mu-law is taken for PCM: `python -m tools.pcm.evaluate`."""
