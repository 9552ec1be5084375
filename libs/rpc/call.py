"""What is known of the RPC at hand: who asks, from where, until when."""

from contextvars import ContextVar
from dataclasses import dataclass, replace

from semantik.auth.v1 import principal_pb2, user_pb2


@dataclass(frozen=True)
class Principal:
    """The user a request acts for; ``issue_time`` is when its access token was issued, in Unix seconds."""

    user_id: str
    role: "user_pb2.User.Role.ValueType"
    session_id: str = ""
    api_key_id: str = ""
    restricted: bool = False
    issue_time: float = 0.0

    def proto(self) -> principal_pb2.Principal:
        return principal_pb2.Principal(user_id=self.user_id, role=self.role, api_key_id=self.api_key_id, restricted=self.restricted)

    @staticmethod
    def of(message: principal_pb2.Principal) -> "Principal":
        return Principal(message.user_id, message.role, api_key_id=message.api_key_id, restricted=message.restricted)


@dataclass(frozen=True)
class Call:
    """One served RPC; ``deadline`` is on the event loop's clock, None without one."""

    method: str = ""
    correlation_id: str = ""
    client_address: str = ""
    user_agent: str = ""
    deadline: float | None = None
    principal: Principal | None = None
    peer: str = ""


_current: ContextVar[Call] = ContextVar("call", default=Call())  # noqa: B039 - it is frozen


def current() -> Call:
    """Return the request this task serves; an empty one outside of any."""
    return _current.get()


def enter(call: Call) -> None:
    """Make ``call`` the current one of this task."""
    _current.set(call)


def amend(principal: Principal | None = None, peer: str = "") -> None:
    """Add to the current request who makes it."""
    _current.set(replace(_current.get(), principal=principal, peer=peer))


def principal() -> Principal:
    """Return the signed-in user; the boundary has made sure there is one on every public RPC that needs it."""
    found = _current.get().principal
    if found is None:
        raise LookupError("no principal on this request")
    return found
