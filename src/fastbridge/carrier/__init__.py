"""The carrier's side of a call: who was let in, whether the line is alive. The dialects are in rooms of their own."""
