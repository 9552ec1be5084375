"""How fast a count rises: smoothed twice, so that work that comes in batches of many seconds shows a steady rate."""

import math

_SMOOTHING_SECONDS = 30.0


class Rate:
    """An exponentially weighted mean of what came per second, and of that mean once more.

    Each mean divides by the sum of its weights, so that it is unbiased from the first second on (Kingma and Ba, "Adam", 2015,
    section 3). Two first-order filters in a row let a burst every 30 s through as a ripple of 5 %, one alone as 60 %.
    """

    def __init__(self, smoothing_seconds: float = _SMOOTHING_SECONDS) -> None:
        self._smoothing_seconds = smoothing_seconds
        self._once, self._once_weight = 0.0, 0.0
        self._twice, self._twice_weight = 0.0, 0.0
        self.observed_seconds = 0.0
        self.silent_seconds = 0.0
        """Seconds since something came."""
        self.longest_gap_seconds = 0.0
        """About the longest time between two arrivals; older ones fade."""
        self.arrivals = 0

    @property
    def per_second(self) -> float:
        """The rate now; 0 before anything came."""
        return self._twice / self._twice_weight if self._twice_weight else 0.0

    def observe(self, seconds: float, amount: float) -> None:
        """Take in what came during the last ``seconds``, which are more than none."""
        weight = -math.expm1(-seconds / self._smoothing_seconds)
        self.observed_seconds += seconds
        self._once += weight * (amount / seconds - self._once)
        self._once_weight += weight * (1 - self._once_weight)
        self.silent_seconds += seconds
        self.longest_gap_seconds *= 1 - weight
        if amount:
            self.arrivals += 1
            self.longest_gap_seconds = max(self.longest_gap_seconds, self.silent_seconds)
            self.silent_seconds = 0.0
        # The wait for the first arrival says nothing about how steady they come.
        if self.arrivals:
            self._twice += weight * (self._once / self._once_weight - self._twice)
            self._twice_weight += weight * (1 - self._twice_weight)
