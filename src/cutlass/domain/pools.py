"""Pools: a region's share of a grant, from which that region's allotments are supplied."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cutlass.domain.grants import Category, Grant
from cutlass.domain.periods import to_millis
from cutlass.domain.rates import blend

NEVER_MS = 9_999_999_999_999
"""The expiry of what does not expire, in milliseconds since 1970."""

FIRST_EPOCH = 1
"""The epoch in which a region serves that was never fenced."""

DRAWS_PER_SECOND = 100
"""Draws a second that one item takes well: at ten times as many write units as these cost its limit is reached."""

MAX_DEPOTS = 64

_OWN = "#own"


@dataclass(frozen=True, slots=True)
class Pool:
    """One region's share of one grant. Every counter is cumulative but `available`.

    Attributes
    ----------
    minted : int
        The region's share of the grant at birth.
    available : int
        Units not handed out, moved away, burned or expired.
    allotted, returned : int
        Units given to allotments and given back by them.
    sent, accepted : Mapping[str, int]
        Units moved to and from other regions, by region; each side writes only its own.
    burned, expired : int
        Units ended by a void, and by the grant's expiry.
    voided : bool
        Whether the grant was voided: nothing may be handed out any more, also of what comes back.
    members : int
        Allotments that were born from this pool: how many users may want more of it.
    rate, rated_units, rated_ms : int
        How fast units were handed out, in thousandths of a unit per second, when so many were out, at that
        time. A hint: it decides how much is held ahead and moved, never whether something may be.
    draws, rated_draws, pulse : int
        Refills of users' allotments out of the pool, by themselves or through depots; how many when the rate was
        estimated; and how many there were a second, in thousandths. Hints, as the next one.
    depots : int
        How many depots stand between the pool and the allotments (`cutlass.domain.depots`): the most there ever
        were worth it. Fewer would leave units in depots that nobody comes to any more.
    swept_ms, idle_swept_ms : int
        When somebody last began to take back what the region's allotments hold: all, or only idle ones.
    fence : int
        The epoch of its region's last fence: it hands out nothing before a later one.
    overdrawn : int
        Units that were claimed by another region in advance and were not there any more.
    """

    grant_id: str
    category: Category
    priority: int
    starts_ms: int
    expires_ms: int
    user_id: str | None
    minted: int
    available: int
    allotted: int = 0
    returned: int = 0
    burned: int = 0
    expired: int = 0
    members: int = 0
    rate: int = 0
    rated_units: int = 0
    rated_ms: int = 0
    draws: int = 0
    rated_draws: int = 0
    pulse: int = 0
    depots: int = 0
    swept_ms: int = 0
    idle_swept_ms: int = 0
    voided: bool = False
    fence: int = 0
    overdrawn: int = 0
    sent: Mapping[str, int] = field(default_factory=dict)
    accepted: Mapping[str, int] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, int, str]:
        """Where the pool stands in the order of spending: by priority, then by expiry."""
        return self.priority, self.expires_ms, self.grant_id

    @property
    def key(self) -> str:
        """The pool's sort key, which sorts pools in the order of spending and says if it is one user's own."""
        return f"{self.priority:03d}#{self.expires_ms:013d}#{self.grant_id}{_OWN if self.user_id else ''}"

    def live(self, now_ms: int) -> bool:
        """Whether units of the pool may be handed out now."""
        return not self.voided and self.starts_ms <= now_ms < self.expires_ms

    def rate_at(self, now_ms: int) -> int:
        """How fast units are handed out; an empty pool keeps its rate, since it shows no demand."""
        return blend(self.rate, 0, now_ms - self.rated_ms) if self.available else self.rate

    def cover_ms(self, now_ms: int) -> int:
        """How long what is available lasts at the present rate, in milliseconds."""
        rate = self.rate_at(now_ms)
        return self.available * 1_000_000 // rate if rate else NEVER_MS


def measure(pool: Pool, units: int, now_ms: int, *, draws: int = 1) -> Pool:
    """Estimate a pool's rates anew, as `units` are being drawn from it for so many refills of users."""
    out, drawn = pool.allotted - pool.returned + units, pool.draws + draws
    since_ms = now_ms - pool.rated_ms
    rate = blend(pool.rate, out - pool.rated_units, since_ms) if pool.rated_ms else 0
    pulse = blend(pool.pulse, drawn - pool.rated_draws, since_ms) if pool.rated_ms else 0
    return replace(
        pool,
        rate=rate,
        rated_units=out,
        rated_ms=now_ms,
        rated_draws=drawn,
        pulse=pulse,
        depots=max(pool.depots, depots_for(pulse)),
    )


def depots_for(pulse: int) -> int:
    """How many depots are worth it at so many draws a second, in thousandths: a power of two, or 0 for none."""
    depots = 1
    while pulse > depots * DRAWS_PER_SECOND * 1000 and depots < MAX_DEPOTS:
        depots *= 2
    return depots if depots > 1 else 0


def mint(grant: Grant, region: str, *, voided: bool = False, fence: int = 0) -> Pool:
    """Make a region's pool of a grant, once; of a voided grant it is born burned, in a fenced region fenced."""
    share = grant.split.get(region, 0)
    return Pool(
        grant_id=grant.grant_id,
        category=grant.category,
        priority=grant.priority,
        starts_ms=to_millis(grant.effective_at),
        expires_ms=NEVER_MS if grant.expires_at is None else to_millis(grant.expires_at),
        user_id=grant.user_id,
        minted=share,
        available=0 if voided else share,
        burned=share if voided else 0,
        voided=voided,
        fence=fence,
    )


def end(pool: Pool, now_ms: int) -> Pool:
    """End what a voided or expired pool has left; what comes back to it later is ended again."""
    if pool.voided:
        return replace(pool, available=0, burned=pool.burned + pool.available)
    if pool.expires_ms <= now_ms:
        return replace(pool, available=0, expired=pool.expired + pool.available)
    return pool


def of_user(pool_key: str) -> bool:
    """Whether a pool's key is that of a user's own grant."""
    return pool_key.endswith(_OWN)


def grant_of(pool_key: str) -> str:
    """The id of the grant a pool's key names."""
    return pool_key.split("#")[2]
