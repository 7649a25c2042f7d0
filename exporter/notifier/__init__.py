"""Delivers what the outbox holds: one worker per target, claim, send, settle. Must not decide what is told to whom."""
