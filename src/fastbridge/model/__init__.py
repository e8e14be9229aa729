"""The line to the model: dialled, kept, renewed. The dialects are in rooms of their own."""
