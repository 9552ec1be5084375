"""Refresh tokens of pages in a browser: in a cookie that no script can read."""

from http.cookies import CookieError, SimpleCookie

from libs.db.tables import now
from libs.rpc.boundary import Context
from libs.rpc.mesh import MeshIdentity
from semantik.auth.v1 import session_pb2

# A foreign page cannot send this header: the browser asks the gateway first, which allows it to its own origin alone.
_TRANSPORT = "x-session-transport"
# The gateway says how the client reached it.
_SCHEME = "x-client-scheme"
# Only what exchanges or ends a session sees the cookie.
_PATH = "/semantik.auth.v1.AuthService"


class Cookies:
    """Moves refresh tokens between messages and the cookie of a mesh.

    Cookies of one host are shared by all its ports, so the name is the mesh's own.
    """

    def __init__(self, mesh: MeshIdentity) -> None:
        self._name = "semantik-session-" + mesh.derive("session cookie").hex()[:12]

    def presented(self, context: Context, in_message: str) -> str:
        """Return the refresh token of a request: the message's, or the cookie's where a page asks for that; may be empty."""
        metadata = dict(context.invocation_metadata() or ())
        if in_message or metadata.get(_TRANSPORT) != "cookie":
            return in_message
        try:
            morsel = SimpleCookie(metadata.get("cookie", "")).get(self._name)
        except CookieError:
            return ""
        return morsel.value if morsel else ""

    async def hand_over(self, context: Context, tokens: session_pb2.Tokens) -> session_pb2.Tokens:
        """Return the tokens of an answer; for a page, the refresh token leaves in the cookie and is empty."""
        metadata = dict(context.invocation_metadata() or ())
        if metadata.get(_TRANSPORT) != "cookie":
            return tokens
        seconds = int((tokens.refresh_expire_time.ToDatetime(now().tzinfo) - now()).total_seconds())
        await self._set(context, metadata, tokens.refresh_token, seconds)
        tokens.ClearField("refresh_token")
        return tokens

    async def clear(self, context: Context) -> None:
        """Remove the cookie of a page."""
        metadata = dict(context.invocation_metadata() or ())
        if metadata.get(_TRANSPORT) == "cookie":
            await self._set(context, metadata, "", 0)

    async def _set(self, context: Context, metadata: dict[str, str], value: str, seconds: int) -> None:
        secure = "; Secure" if metadata.get(_SCHEME) == "https" else ""
        cookie = f"{self._name}={value}; Path={_PATH}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
        await context.send_initial_metadata((("set-cookie", cookie),))
