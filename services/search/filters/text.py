"""A filter as people write it: `mime:pdf (path:reports/ OR size>10kb) "exact phrase" -draft`.

    filter = all ("OR" all)*
    all    = term (["AND"] term)*
    term   = ("-" | "NOT") term | "(" filter ")" | field operator value ("," value)* | word | phrase

Operators are `:`, `<`, `<=`, `>` and `>=`, without blanks around them. A value is a phrase, or characters other than blanks,
parentheses, quotation marks and commas. In a phrase, a backslash takes the character after it as it is.
"""

import re
from collections.abc import Sequence

from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.search.v1.filter_pb2 import Condition, Conditions
from services.search.filters.fields import Field, field_of
from services.search.filters.tree import MOST_CONDITIONS, MOST_LEVELS, checked, levels
from services.search.languages.language import ENGLISH, Language

_NAME = "filter_text"
_BLANKS = re.compile(r"\s*")
_WORD = re.compile(r'[^\s()"]+')
_PHRASE = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_FIELD = re.compile(r"(?i:meta\.[^\s:<>()\",]*|[a-z_]+)(?=[:<>])")
_OPERATOR = re.compile(r":|[<>]=?")
_VALUE = re.compile(r'[^\s()",]+')
_MINUS = re.compile(r"-(?=\S)")
_OPENING, _CLOSING, _COMMA = (re.compile(re.escape(character)) for character in "(),")
_OR, _AND, _NOT = "OR", "AND", "NOT"


def parsed(text: str, language: Language = ENGLISH) -> Condition | None:
    """Return the condition that a text says, None where it is blank; raises INVALID_REQUEST with the position of the error."""
    return _Parser(text, language).filter()


def _error(position: int, message: str) -> Failure:
    metadata = {"field": _NAME, "rule": "filter_text.syntax", "position": str(position)}
    message = f"{_NAME}: {message} (position {position})"
    return Failure(StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_REQUEST, message, metadata, field=_NAME)


class _Parser:
    """Reads a text from ``_position`` on; the token before it begins at ``_token``.

    ``level`` is how many parentheses and negations are open.
    """

    def __init__(self, text: str, language: Language) -> None:
        self._text = text
        self._language = language
        self._position = self._token = 0
        self._count = 0

    def filter(self) -> Condition | None:
        self._take(_BLANKS)
        if self._is_at_end():
            return None
        condition = self._any(0)
        if not self._is_at_end():
            raise _error(self._position, "this parenthesis closes nothing")
        return condition

    def _any(self, level: int) -> Condition:
        start, terms = self._position, [self._all(level)]
        while self._take_word(_OR):
            terms.append(self._all(level))
        return terms[0] if len(terms) == 1 else self._joined(start, any_of=terms)

    def _all(self, level: int) -> Condition:
        start, terms = self._position, [self._term(level)]
        while self._take_word(_AND) or not (self._is_at_end() or self._is_at(_CLOSING) or self._is_at_word(_OR)):
            terms.append(self._term(level))
        return terms[0] if len(terms) == 1 else self._joined(start, all_of=terms)

    def _term(self, level: int) -> Condition:
        start = self._position
        if self._is_at_end():
            raise _error(self._token, "after this, a term is missing")
        if self._is_at(_CLOSING) or self._is_at_word(_OR) or self._is_at_word(_AND):
            raise _error(start, "before this, a term is missing")
        if level == MOST_LEVELS:
            raise _error(start, f"this is deeper than {MOST_LEVELS} levels")
        if self._take_word(_NOT) or self._take(_MINUS):
            return self._joined(start, none_of=[self._term(level + 1)])
        if self._take(_OPENING):
            self._take(_BLANKS)
            condition = self._any(level + 1)
            if not self._take(_CLOSING):
                raise _error(start, "this parenthesis is not closed")
        elif self._is_at(_FIELD):
            condition = self._tests()
        else:
            condition = self._leaf(start, Condition(text=self._value(_WORD)))
        self._take(_BLANKS)
        return condition

    def _tests(self) -> Condition:
        start, name = self._position, self._take(_FIELD)
        try:
            field = field_of(name.lower())
        except ValueError as error:
            raise _error(start, str(error)) from None
        operator = self._take(_OPERATOR)
        if operator not in field.operators:
            raise _error(self._token, f"{name} takes {' or '.join(field.operators)}, not {operator}")
        tests = [self._test(field, operator)]
        while self._take(_COMMA):
            tests.append(self._test(field, operator))
        return tests[0] if len(tests) == 1 else self._joined(start, any_of=tests)

    def _test(self, field: Field, operator: str) -> Condition:
        start = self._position
        if not (self._is_at(_VALUE) or self._is_at_quote()):
            raise _error(self._token, "after this, a value is missing")
        value = self._value(_VALUE)
        try:
            condition = field.condition(operator, value)
        except ValueError as error:
            raise _error(start, str(error)) from None
        return self._leaf(start, condition)

    def _value(self, plain: re.Pattern[str]) -> str:
        if not self._is_at_quote():
            return self._take(plain)
        start = self._position
        phrase = self._take(_PHRASE)
        if not phrase:
            raise _error(start, "this quotation mark is not closed")
        return _ESCAPED.sub(r"\1", phrase[1:-1])

    def _leaf(self, start: int, condition: Condition) -> Condition:
        self._count_one(start)
        try:
            return checked(condition, _NAME, self._language)
        except Failure as failure:
            raise _error(start, failure.message.partition(": ")[2]) from None

    def _joined(self, start: int, **terms: Sequence[Condition]) -> Condition:
        self._count_one(start)
        condition = Condition(**{kind: Conditions(conditions=each) for kind, each in terms.items()})  # type: ignore[arg-type]
        if levels(condition) > MOST_LEVELS:
            raise _error(start, f"this is deeper than {MOST_LEVELS} levels")
        return condition

    def _count_one(self, start: int) -> None:
        self._count += 1
        if self._count > MOST_CONDITIONS:
            raise _error(start, f"here are more than {MOST_CONDITIONS} conditions")

    def _is_at_end(self) -> bool:
        return self._position == len(self._text)

    def _is_at(self, pattern: re.Pattern[str]) -> bool:
        return pattern.match(self._text, self._position) is not None

    def _is_at_quote(self) -> bool:
        return self._text.startswith('"', self._position)

    def _is_at_word(self, word: str) -> bool:
        found = _WORD.match(self._text, self._position)
        return found is not None and found[0] == word

    def _take(self, pattern: re.Pattern[str]) -> str:
        """Return what is here of the pattern, and stand behind it; empty where there is nothing of it."""
        found = pattern.match(self._text, self._position)
        if found is None or not found[0]:
            return ""
        if pattern is not _BLANKS:
            self._token = self._position
        self._position = found.end()
        return found[0]

    def _take_word(self, word: str) -> bool:
        if not self._is_at_word(word):
            return False
        self._take(_WORD)
        self._take(_BLANKS)
        return True
