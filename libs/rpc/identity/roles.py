"""Global roles and their order: what a user may create and administer."""

from libs.rpc.call import Principal
from libs.rpc.errors import role_required
from semantik.auth.v1.user_pb2 import User

_ASCENDING = (User.ROLE_UNSPECIFIED, User.ROLE_GUEST, User.ROLE_USER, User.ROLE_POWER_USER, User.ROLE_ADMIN)


def has_role(principal: Principal, minimum: "User.Role.ValueType") -> bool:
    """Return whether the principal's global role is ``minimum`` or higher."""
    return _ASCENDING.index(principal.role) >= _ASCENDING.index(minimum)


def require_role(principal: Principal, minimum: "User.Role.ValueType") -> None:
    """Raise PERMISSION_DENIED unless the principal's global role is ``minimum`` or higher."""
    if not has_role(principal, minimum):
        raise role_required(User.Role.Name(minimum).removeprefix("ROLE_"))
