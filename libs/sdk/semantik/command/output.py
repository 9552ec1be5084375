"""What commands print: to people, with nothing in it that controls their terminal, and to programs."""

import json
import re
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # rich and protobuf are imported with the first line, so that --help need not wait for them
    from google.protobuf.message import Message
    from rich.console import Console

_UNWRAPPED = 100_000
# Terminal codes, and what reorders text or has no width; joiners stay, which some scripts need.
_INVISIBLE = (0x061C, 0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF)
_CONTROL = {code: "\ufffd" for code in (*range(32), *range(127, 160), *_INVISIBLE) if chr(code) not in "\t\n"}


class Terminal:
    """One of the two streams to people; lines to a file or a program are not wrapped."""

    def __init__(self, *, is_error: bool) -> None:
        self._is_error = is_error

    @cached_property
    def console(self) -> "Console":
        from rich.console import Console

        stream = sys.stderr if self._is_error else sys.stdout
        return Console(stderr=self._is_error, highlight=False, width=None if stream.isatty() else _UNWRAPPED)

    def print(self, *values: Any, style: str | None = None, soft_wrap: bool = False) -> None:
        self.console.print(*values, style=style, soft_wrap=soft_wrap)


out = Terminal(is_error=False)
err = Terminal(is_error=True)


def printable(text: str) -> str:
    """Return the text with U+FFFD for each character that controls the terminal, the order of a line or nothing visible."""
    return text.translate(_CONTROL)


def escape(text: str) -> str:
    """Return untrusted text as markup that prints it and does nothing else."""
    import rich.markup

    return rich.markup.escape(printable(text))


def word(message: "Message", field: str) -> str:
    """Return the value of an enum field in a word or two: ``STATE_ON_DISK`` is ``on disk``."""
    kind = message.DESCRIPTOR.fields_by_name[field].enum_type
    if kind is None:
        raise TypeError(f"{field} is no enum")
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.name).upper()
    name = kind.values_by_number[getattr(message, field)].name
    return name.removeprefix(f"{prefix}_").replace("_", " ").lower()


def print_json(value: "Message | list[Message] | dict[str, Any]") -> None:
    """Print messages as one JSON document, named as the JSON API names them."""
    text = json.dumps(plain(value), ensure_ascii=False)
    sys.stdout.write(re.sub("[\x7f-\x9f]", lambda control: f"\\u{ord(control[0]):04x}", text) + "\n")
    sys.stdout.flush()


def plain(value: Any) -> Any:
    from google.protobuf import json_format
    from google.protobuf.message import Message

    if isinstance(value, Message):
        return json_format.MessageToDict(value, always_print_fields_with_no_presence=True)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
