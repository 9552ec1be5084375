"""The context of the RPC that a task serves: who calls, from where, until when."""

from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from semantik.auth.v1 import principal_pb2, user_pb2


@dataclass(frozen=True, slots=True)
class Principal:
    """The user a call acts for; ``issue_time`` is when the access token was issued, in Unix seconds."""

    user_id: str
    role: "user_pb2.User.Role.ValueType"
    session_id: str = ""
    api_key_id: str = ""
    restricted: bool = False
    issue_time: float = 0.0

    def key(self) -> tuple[str, int, str, bool]:
        """Return what permission depends on, and nothing that a renewed token changes: the key of a cache."""
        return self.user_id, self.role, self.api_key_id, self.restricted

    def proto(self) -> principal_pb2.Principal:
        """Return the principal as internal RPCs carry it."""
        return principal_pb2.Principal(user_id=self.user_id, role=self.role, api_key_id=self.api_key_id, restricted=self.restricted)

    @staticmethod
    def of(message: principal_pb2.Principal) -> "Principal":
        return Principal(message.user_id, message.role, api_key_id=message.api_key_id, restricted=message.restricted)


@dataclass(frozen=True, slots=True)
class Call:
    """A served RPC; ``deadline`` is on the event loop's clock, None without one; ``peer`` is the calling service.

    ``authorization`` and ``gateway_proof`` are what the caller shows, and are not believed before they are verified.
    """

    method: str = ""
    correlation_id: str = ""
    client_address: str = ""
    user_agent: str = ""
    authorization: str = field(default="", repr=False)
    gateway_proof: str = field(default="", repr=False)
    deadline: float | None = None
    principal: Principal | None = None
    peer: str = ""


_current: ContextVar[Call] = ContextVar("call", default=Call())  # noqa: B039 - it is frozen


def current() -> Call:
    """Return the call this task serves; outside of any, an empty one."""
    return _current.get()


def enter(served: Call) -> None:
    """Make ``served`` the current call of this task."""
    _current.set(served)


def amend(principal: Principal | None = None, peer: str = "") -> None:
    """Add the caller to the current call, in place of what it has shown."""
    _current.set(replace(_current.get(), principal=principal, peer=peer, authorization="", gateway_proof=""))


def principal() -> Principal:
    """Return the signed-in user; the boundary provides one on every RPC that needs it."""
    signed_in = _current.get().principal
    if signed_in is None:
        raise LookupError("the call has no principal")
    return signed_in
