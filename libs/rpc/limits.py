"""Limits of a call that both of its ends keep."""

MESSAGE_BYTES = 8 * 1024 * 1024
METADATA_BYTES = 16 * 1024
# A client may ask after its connection no more often than the server allows.
PING_SECONDS = 30
MIN_PING_SECONDS = 10
