"""The glass log: events, chain, verifier."""
