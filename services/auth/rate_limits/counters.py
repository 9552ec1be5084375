"""The counters in Redis: one script counts a call in all its buckets at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import ConnectionPool, Redis

from services.auth.rate_limits.limits import WINDOW_SECONDS, Bucket

_PREFIX = "semantik:rate:"
_MAX_BLOCK_SECONDS = 900
# How long a violation makes the next block longer.
_MEMORY_SECONDS = 3600
# The gateway waits for 100 ms; what Redis does not answer by then is let through.
_ANSWER_SECONDS = 0.08
# For each bucket: counts, and from the first call over the limit on blocks, twice as long at each violation. What is blocked is not
# counted, so that who stops asking is let in again. Returns calls left (-1: refused) and the milliseconds until the count begins again.
_SCRIPT = """
local window, memory, longest, hits = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local answer = {}
for i = 1, #KEYS do
  local count, blocked, violations, limit = KEYS[i], KEYS[i] .. ':blocked', KEYS[i] .. ':violations', tonumber(ARGV[4 + i])
  local left = redis.call('PTTL', blocked)
  if left > 0 then
    answer[#answer + 1], answer[#answer + 2] = -1, left
  else
    local counted = redis.call('INCRBY', count, hits)
    if counted == hits then redis.call('PEXPIRE', count, window) end
    left = redis.call('PTTL', count)
    if counted > limit then
      local times = redis.call('INCR', violations)
      redis.call('PEXPIRE', violations, memory)
      if times > 1 then left = math.min(window * 2 ^ math.min(times - 1, 10), longest) end
      redis.call('SET', blocked, 1, 'PX', string.format('%d', math.max(left, 1)))
      redis.call('DEL', count)
      answer[#answer + 1], answer[#answer + 2] = -1, left
    else
      answer[#answer + 1], answer[#answer + 2] = limit - counted, left
    end
  end
end
return answer
"""


@dataclass(frozen=True)
class Count:
    """What a bucket says of a call: ``remaining`` calls are let through until ``reset_seconds`` from now."""

    is_over: bool
    remaining: int
    reset_seconds: float


class Counters:
    """Counts in the Redis of ``url``; raises redis.RedisError or OSError while it is away."""

    def __init__(self, url: str, window_seconds: float = WINDOW_SECONDS) -> None:
        pool = ConnectionPool.from_url(url, socket_connect_timeout=_ANSWER_SECONDS, socket_timeout=_ANSWER_SECONDS)
        self._redis = Redis(connection_pool=pool)
        self._script = self._redis.register_script(_SCRIPT)
        self._window = round(window_seconds * 1000)

    async def count(self, buckets: Sequence[Bucket], hits: int = 1) -> list[Count]:
        """Count ``hits`` calls in each bucket."""
        keys = [_PREFIX + bucket.key for bucket in buckets]
        arguments = [self._window, _MEMORY_SECONDS * 1000, _MAX_BLOCK_SECONDS * 1000, hits, *(bucket.limit for bucket in buckets)]
        numbers = await self._script(keys=keys, args=arguments)
        return [Count(left < 0, max(0, left), reset / 1000) for left, reset in zip(numbers[::2], numbers[1::2], strict=True)]

    async def close(self) -> None:
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()
