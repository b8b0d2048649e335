"""What a way of keeping a limit came to."""

from array import array

from cutlass.simulation.setting import Setting

_STEPS_PER_MS = 10
_LONGEST_MS = 20_000


class Latencies:
    """A histogram of answer times, in tenths of a millisecond."""

    def __init__(self) -> None:
        self._counts = array("q", bytes(8 * (_LONGEST_MS * _STEPS_PER_MS + 1)))
        self._total = 0

    def add(self, millis: float) -> None:
        """Count one answer."""
        self._counts[min(int(millis * _STEPS_PER_MS), _LONGEST_MS * _STEPS_PER_MS)] += 1
        self._total += 1

    def percentile(self, percent: float) -> float:
        """The time in milliseconds within which so many percent of the answers came."""
        wanted, seen = self._total * percent / 100, 0
        for step, count in enumerate(self._counts):
            seen += count
            if seen >= wanted and seen:
                return step / _STEPS_PER_MS
        return 0.0


class Ideal:
    """A limiter that is exact and knows everything at once: what the others are measured against."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._left = setting.granted
        self._spent = array("q", bytes(8 * setting.scenario.users))
        self.units = 0

    def allows(self, user: int, units: int) -> bool:
        """Decide a request; requests come in the order in which they are made."""
        if units > self._left or self._spent[user] + units > self._setting.ceiling(user):
            return False
        self._left -= units
        self._spent[user] += units
        self.units += units
        return True


class Books:
    """Who was allowed what, kept outside of what is tested."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._spent = array("q", bytes(8 * setting.scenario.users))
        self.ideal = Ideal(setting)
        self.latencies = Latencies()
        self.requests = self.allowed = self.units = 0
        self.false_refusals = self.write_units = self.messages = 0

    def ask(self, user: int, units: int) -> bool:
        """Note a request; returns whether it should be allowed."""
        self.requests += 1
        return self.ideal.allows(user, units)

    def allow(self, user: int, units: int) -> None:
        """Note that units were taken."""
        self.allowed += 1
        self.units += units
        self._spent[user] += units

    def refuse(self, *, due: bool) -> None:
        """Note a refusal, of a request that should have been allowed if `due`."""
        self.false_refusals += due

    def oversold(self) -> int:
        """Units allowed beyond the grants, or if these were kept, beyond the users' limits."""
        setting = self._setting
        heavy = ((user, spent) for user, spent in enumerate(self._spent) if spent > setting.scenario.user_limit)
        over_users = sum(max(0, spent - setting.ceiling(user)) for user, spent in heavy)
        return max(self.units - setting.granted, over_users, 0)

    def summary(self, ledger_gap: int) -> dict[str, int | float]:
        """The figures that are compared."""
        asked = max(1, self.requests)
        return {
            "requests": self.requests,
            "allowed": self.allowed,
            "oversold": self.oversold(),
            "false_refusals_percent": round(100 * self.false_refusals / asked, 4),
            "p50_ms": self.latencies.percentile(50),
            "p99_ms": self.latencies.percentile(99),
            "write_units_per_request": round(self.write_units / asked, 3),
            "rebalancing_messages": self.messages,
            "ledger_gap": ledger_gap,
            "utilisation_percent": round(100 * self.units / max(1, self.ideal.units), 3),
        }
