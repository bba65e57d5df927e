"""What `course VERB` does: one module a verb, and what they share."""
