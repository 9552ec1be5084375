"""The contract's rules in words: what a person who broke one can do about it."""

from protovalidate import Violation

# Each pattern of the contract has its words here; a test holds the two together.
PATTERNS = {
    r"[^\p{C}\p{Z}]": "must not be blank",
    r"^([0-9a-f]{64})?$": "must be a SHA-256 in hex, 64 digits",
    r"^([a-z0-9][a-z0-9._-]*)?$": "may hold lower-case letters, digits, `.`, `_` and `-`, and begins with a letter or a digit",
    r"^/[^\x00-\x1f\x7f]*$": "must be an absolute path without control characters",
    r"^[A-Za-z0-9._-]*$": "may hold letters without accents, digits, `.`, `_` and `-`",
    r"^[A-Za-z0-9._-]+$": "may hold letters without accents, digits, `.`, `_` and `-`",
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": "may hold letters without accents, digits, `.`, `_` and `-`, and begins with a letter or a digit",
    r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$": "must be a repository as the hub names it: owner/name",
    r"^[^\p{C}]*$": "must not hold control or invisible characters",
    r"^[^\p{C}\p{Zl}\p{Zp}]*$": "must not hold line breaks, control or invisible characters",
    r"^[^\p{C}\p{Zl}\p{Zp}]*[^\p{C}\p{Z}][^\p{C}\p{Zl}\p{Zp}]*$": (
        "must not be blank, and must not hold line breaks, control or invisible characters"
    ),
    r"^[a-z][a-z0-9_]{0,39}$": "must be a key of up to 40 letters a-z, digits and `_`, and begins with a letter",
    r"^[a-z0-9._-]*$": "may hold lower-case letters, digits, `.`, `_` and `-`",
}


def in_words(violation: Violation) -> str:
    """Return one sentence without its subject, the field."""
    rule, value = violation.proto.rule_id, violation.rule_value
    if rule == "string.pattern":
        return PATTERNS.get(str(value), "has a form that is not allowed")
    if rule in {"string.min_len", "string.min_bytes", "repeated.min_items"} and value == 1:
        return "must not be empty"
    return violation.proto.message
