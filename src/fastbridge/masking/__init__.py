"""What is kept secret in words: card and identity numbers, and the operator's own patterns."""
