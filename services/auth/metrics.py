"""What auth counts beside its RPCs."""

from prometheus_client import Counter, Histogram

SIGN_INS = Counter("semantik_sign_ins_total", "Attempts to sign in with a password, by outcome.", ("outcome",))
REFRESHES = Counter("semantik_token_refreshes_total", "Refresh tokens presented, by outcome.", ("outcome",))
REVOCATIONS = Counter("semantik_revocations_total", "Sessions ended before their time, by reason.", ("reason",))
PASSWORD_SECONDS = Histogram(
    "semantik_password_seconds",
    "Time to hash or verify a password, waiting included, in seconds.",
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
