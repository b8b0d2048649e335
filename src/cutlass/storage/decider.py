"""The decision: one conditional write to the caller's allotment, and what to do where it does not suffice."""

import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from cutlass.domain.allotments import Allotment, Spend, Verdict
from cutlass.domain.decisions import REGION_SHORT_RETRY_SECONDS, Decision, DecisionRequest, Reason
from cutlass.domain.errors import ConflictError, IdempotencyMismatchError, InvalidRequestError, UnavailableError
from cutlass.domain.ids import MAX_AHEAD_MS, RequestIdentity, decision_id, new_request_id, request_time
from cutlass.domain.ledger import LedgerEntry
from cutlass.domain.organisations import Organisation, Status
from cutlass.domain.periods import Period, to_millis
from cutlass.domain.plans import MAX_UNITS, Catalogue, Plan
from cutlass.domain.stripes import ancestors, stripe_of
from cutlass.storage import keys
from cutlass.storage.allotments import Allotments, Consumed, Holder
from cutlass.storage.directory import Directory
from cutlass.storage.ledger import Ledger
from cutlass.storage.subjects import Subjects
from cutlass.storage.supply import Supply

ATTEMPTS = 64
"""Looks at an allotment before a decision gives up: each means that another request changed it meanwhile."""

_LEDGER_WAITS = 12
"""Looks into the ledger, a quarter of a second apart, for an answer the stream has not brought there yet."""

_PROFILES = 10_000
"""Organisations kept in memory."""


@dataclass(frozen=True, slots=True)
class Case:
    """One request on its way to an answer, under the terms its region knows."""

    request: DecisionRequest
    organisation: Organisation
    plan: Plan
    period: Period
    meter: str
    units: int
    identity: RequestIdentity
    now: datetime
    stripes: int = 1
    stripe: int = 0

    @property
    def now_ms(self) -> int:
        """When it was asked, in milliseconds since 1970."""
        return to_millis(self.now)

    def key(self, allotments: Allotments) -> keys.Key:
        """The key of the allotment that answers."""
        return allotments.key(*self.user, self.stripe)

    def spend(self, fence: int | None) -> Spend:
        """The write that would decide it; see `Spend` for the fence."""
        feature, rev = self.request.feature, self.organisation.rev
        return Spend(self.identity, feature, self.units, rev, self.now_ms, fence, self.stripes)

    def among(self, stripes: int) -> "Case":
        """The same case where the user's allotment has so many stripes."""
        return replace(self, stripes=stripes, stripe=stripe_of(self.identity.request_id, stripes))

    @property
    def user(self) -> tuple[str, str, str, str]:
        """Whose allotment answers: organisation, user, meter and period."""
        return self.request.org_id, self.request.user_id, self.meter, self.period.key


def pause_seconds(attempt: int) -> float:
    """How long to wait before the next look at an allotment that others are at too: let them finish."""
    return 0.0 if attempt < 2 else random.uniform(0, 0.002 * min(attempt, 16))  # noqa: S311 - not a secret


class Decider:
    """Decides requests in one region; threads may share it.

    Between requests it remembers organisations and how many stripes busy users have, never what is left of
    anything. An allotment knows its organisation's revision and its stripes, so a decision on terms that have
    changed fails and reads them anew.
    """

    def __init__(
        self,
        directory: Directory,
        subjects: Subjects,
        allotments: Allotments,
        supply: Supply,
        ledger: Ledger,
        catalogue: Catalogue,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._directory = directory
        self._subjects = subjects
        self._allotments = allotments
        self._supply = supply
        self._ledger = ledger
        self._catalogue = catalogue
        self._clock = clock
        self._sleep = sleep
        self._profiles: dict[str, Organisation] = {}
        self._stripes: dict[tuple[str, str, str, str], int] = {}

    def decide(self, request: DecisionRequest) -> Decision:
        """Decide a request, once for every request id.

        Raises
        ------
        IdempotencyMismatchError
            The request id was used with another body.
        ConflictError
            The request id was charged a moment ago and its answer is not on record yet.
        UnavailableError
            The store did not answer in time; the same request may be sent again.
        """
        case = self.case(request)
        if isinstance(case, Decision):
            return case
        if case.units == 0:
            return self._look(case)
        return self._take(case)

    def case(self, request: DecisionRequest) -> Case | Decision:
        """Put a request into its surroundings, or refuse it where no allotment could answer it.

        Raises `InvalidRequestError` for units out of bounds, or an id more than a day ahead of its time.
        """
        now = self._clock()
        request_id = request.request_id or new_request_id(to_millis(now))
        organisation = self._profile(request.org_id)
        if (
            organisation is None
            or organisation.status is Status.SUSPENDED
            or not self._offered(organisation, request)
        ):
            # What is remembered says no: only what is stored may.
            self._profiles.pop(request.org_id, None)
            organisation = self._profile(request.org_id)
        if organisation is None:
            return self._without_allotment(request, request_id, Reason.UNKNOWN_ORG, None)
        if organisation.status is Status.SUSPENDED:
            return self._without_allotment(request, request_id, Reason.ORG_SUSPENDED, organisation)
        if not self._offered(organisation, request):
            return self._without_allotment(request, request_id, Reason.FEATURE_NOT_IN_PLAN, organisation)
        if request_time(request_id) > to_millis(now) + MAX_AHEAD_MS:
            raise InvalidRequestError(
                "request_id is a UUIDv7 of a time more than a day ahead: check the clock it was made with",
                field="request_id",
            )
        feature = self._catalogue.features[request.feature]
        units = feature.units if request.units is None else request.units
        if not 0 <= units <= MAX_UNITS:
            raise InvalidRequestError(f"units must be from 0 to {MAX_UNITS}", field="units")
        body = (request.org_id, request.user_id, request.feature, str(units))
        case = Case(
            request=request,
            organisation=organisation,
            plan=organisation.plan_at(self._catalogue, now),
            period=organisation.period_at(self._catalogue, now),
            meter=feature.meter,
            units=units,
            identity=RequestIdentity.of(request_id, *body),
            now=now,
        )
        return case.among(self._stripes.get(case.user, 1))

    def _take(self, case: Case) -> Decision:
        fence = None
        for attempt in range(ATTEMPTS):
            consumed = self._allotments.consume(case.key(self._allotments), case.spend(fence))
            met = consumed.allotment
            if met and consumed.verdict is Verdict.TAKEN:
                return self._answer(case, Reason.OK, met)
            if met and consumed.verdict is Verdict.REPEATED:
                return self._replay(case, self._await_entry(case, met))
            if met and consumed.verdict is Verdict.LATE:
                if entry := self._recorded(case):
                    return self._replay(case, entry)
                fence = met.trims
                continue
            if met and consumed.verdict is Verdict.DIVIDED:
                divided = self._divided(case, met)
                fence = fence if divided.stripe == case.stripe else None  # it was seen on another item
                case = divided
                continue
            supplied, reason = self.supplied(case, consumed)
            if reason:
                return self.refused(supplied, reason, met)
            if (supplied.period, supplied.stripe) != (case.period, case.stripe):
                fence = None  # it was seen on another item
            case = supplied
            self._sleep(pause_seconds(attempt))
        raise UnavailableError("too many requests of this user at once", hint="retry with the same request id")

    def _divided(self, case: Case, met: Allotment) -> Case:
        """Learn of more stripes from an allotment, or tell it of more than it knows."""
        if met.stripes < case.stripes:
            self._allotments.divide(case.key(self._allotments), case.stripes)
            return case
        if len(self._stripes) >= _PROFILES:
            self._stripes.clear()
        self._stripes[case.user] = met.stripes
        return case.among(met.stripes)

    def supplied(self, case: Case, consumed: Consumed) -> tuple[Case, Reason | None]:
        """Bring the allotment to where it can answer; returns the case as it is now, and why it cannot, if so."""
        request, met = case.request, consumed.allotment
        if met is None and case.stripe:  # not born yet: perhaps there are more stripes by now
            first = self._allotments.read(self._allotments.key(*case.user))
            if first and first.stripes > case.stripes:
                return self._divided(case, first), None
        if met and consumed.verdict is Verdict.SHORT:
            asked = (request.org_id, request.user_id, case.meter, case.period.key, case.units)
            if reason := self._supply.still_short(*asked, met):
                return case, reason
        known = met.rev if met else 0
        subject = self._subjects.find(request.org_id, request.user_id, request.feature, at_least=known)
        if isinstance(subject, Reason):
            self._profiles.pop(request.org_id, None)
            return case, subject
        self._remember(subject.organisation)
        now = replace(case, organisation=subject.organisation, plan=subject.plan, period=subject.period)
        if now.period != case.period:
            return now.among(self._stripes.get(now.user, 1)), None
        subject = replace(subject, stripes=case.stripes, stripe=case.stripe)
        return now, self._supply.supply(subject, case.units, met)

    def _look(self, case: Case) -> Decision:
        """Answer whether one use of the feature would be allowed now."""
        request = case.request
        subject = self._subjects.find(request.org_id, request.user_id, request.feature)
        if isinstance(subject, Reason):
            return self._answer(case, subject, None)
        cost = self._catalogue.features[request.feature].units
        allotment, reason = self._supply.look(subject, cost)
        return self._answer(case, reason or Reason.OK, allotment)

    def _offered(self, organisation: Organisation, request: DecisionRequest) -> bool:
        return request.feature in organisation.plan_at(self._catalogue, self._clock()).features

    def _profile(self, org_id: str) -> Organisation | None:
        organisation = self._profiles.get(org_id)
        if organisation is None:
            organisation, _ = self._directory.find(org_id)
            if organisation is not None:
                self._remember(organisation)
        return organisation

    def _remember(self, organisation: Organisation) -> None:
        if len(self._profiles) >= _PROFILES:
            self._profiles.clear()
        self._profiles[organisation.org_id] = organisation

    def _recorded(self, case: Case) -> LedgerEntry | None:
        """Find the first answer to a request the ring need not know: in the ledger, or in rings before it."""
        identity = case.identity
        entry = self._found(case)
        if entry is None:
            for before in self._before(case):
                if identity.mark in before.ring:
                    return self._await_entry(case, before)
        return entry

    def _before(self, case: Case) -> Iterator[Allotment]:
        """Read what may have decided a request before its allotment was born: stripes, and periods before."""
        holder = Holder(*case.user, case.period.end_ms)
        yield from self._allotments.stripes(holder, ancestors(case.stripe)).values()
        for _, earlier in self._allotments.earlier(*case.user):
            yield earlier

    def _found(self, case: Case) -> LedgerEntry | None:
        request = case.request
        return self._ledger.find(request.org_id, request.user_id, case.meter, case.identity.request_id)

    def _await_entry(self, case: Case, met: Allotment) -> LedgerEntry:
        """Get the answer to a request an allotment has charged: its newest one, or the ledger's in a moment."""
        request, identity, last = case.request, case.identity, met.last
        if met.refunded and (entry := self._found(case)):
            return entry  # `total` is not what it was when the request was answered
        if last and last.request_id == identity.request_id and last.reason is None and last.refund_id is None:
            return LedgerEntry.of_last(
                last,
                region=self._allotments.region,
                org_id=request.org_id,
                user_id=request.user_id,
                meter=case.meter,
                after=met.total,
                plan=met.plan,
                limit=met.limit,
            )
        for wait in range(_LEDGER_WAITS):
            if entry := self._found(case):
                return entry
            if wait + 1 < _LEDGER_WAITS:
                self._sleep(0.25)
        raise ConflictError(
            "this request was charged a moment ago and its answer is not on record yet",
            hint="retry with the same request id in a second",
        )

    def _replay(self, case: Case, entry: LedgerEntry) -> Decision:
        """Give the first answer again; raises `IdempotencyMismatchError` if the request is another one."""
        if entry.fingerprint != case.identity.fingerprint:
            raise IdempotencyMismatchError(
                f"request id {case.identity.request_id!r} was used before with another body",
                hint="use a new request id for a new request",
            )
        period = case.organisation.period_at(self._catalogue, entry.at)
        return Decision(
            allowed=True,
            reason=Reason.OK,
            decision_id=entry.entry_id,
            region=entry.region,
            org_id=entry.org_id,
            user_id=case.request.user_id,
            feature=case.request.feature,
            meter=entry.meter,
            units=entry.units,
            replayed=True,
            plan=entry.plan,
            limit=entry.limit,
            used=entry.after,
            remaining=None if entry.limit is None else max(0, entry.limit - entry.after),
            resets_at=period.end,
            period=case.plan.period,
        )

    def refused(self, case: Case, reason: Reason, met: Allotment | None) -> Decision:
        """Answer a refusal and record it, as far as there is an allotment to record it on."""
        if met is not None:
            met = self._allotments.refuse(case.key(self._allotments), case.spend(None), str(reason)) or met
        return self._answer(case, reason, met)

    def _without_allotment(
        self, request: DecisionRequest, request_id: str, reason: Reason, organisation: Organisation | None
    ) -> Decision:
        feature = self._catalogue.features.get(request.feature)
        now = self._clock()
        units = request.units if request.units is not None else feature.units if feature else 0
        meter = feature.meter if feature else None
        plan = organisation.plan_at(self._catalogue, now) if organisation else None
        return Decision(
            allowed=False,
            reason=reason,
            decision_id=decision_id(request.org_id, request.user_id, meter or "", request_id),
            region=self._allotments.region,
            org_id=request.org_id,
            user_id=request.user_id,
            feature=request.feature,
            meter=meter,
            units=units,
            plan=plan.name if plan else None,
            period=plan.period if plan else None,
        )

    def _answer(self, case: Case, reason: Reason, allotment: Allotment | None) -> Decision:
        request = case.request
        limit = allotment.limit if allotment else None
        used = allotment.total if allotment else 0
        aside = allotment.reserved if allotment else 0
        retry_after = None
        if reason is Reason.REGION_SHORT:
            retry_after = REGION_SHORT_RETRY_SECONDS
        elif reason in {Reason.USER_LIMIT_REACHED, Reason.ORG_LIMIT_REACHED, Reason.CREDITS_EXHAUSTED}:
            retry_after = max(1, math.ceil((case.period.end - case.now).total_seconds()))
        return Decision(
            allowed=reason is Reason.OK,
            reason=reason,
            decision_id=decision_id(request.org_id, request.user_id, case.meter, case.identity.request_id),
            region=self._allotments.region,
            org_id=request.org_id,
            user_id=request.user_id,
            feature=request.feature,
            meter=case.meter,
            units=case.units,
            plan=case.plan.name,
            limit=limit,
            used=used,
            remaining=None if limit is None else max(0, limit - used - aside),
            resets_at=case.period.end,
            retry_after=retry_after,
            period=case.plan.period,
        )
