"""Names for sessions, messages, responses and events."""

import secrets


def random_id(kind: str) -> str:
    """Return a fresh id that nobody else has, such as "item_5f0c…"."""
    return f"{kind}_{secrets.token_hex(10)}"
