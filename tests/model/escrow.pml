/* Rights that move between two regions, and what happens when one of them dies: every interleaving is tried.
 *
 * The rules of docs/exact-limits.md ("transfer") and docs/region-loss.md, with numbers so small that Spin can
 * visit every state. A step is one atomic write, as in DynamoDB; between any two, everything else may happen:
 * crash, a message lost, repeated or overtaken, a region gone with what it wrote last.
 *
 * Region 0 and region 1 hold a pool of one grant each. `held` is what their allotments hold together.
 * BUG_* puts a deliberate mistake in; test_model.py requires that each is found.
 */

#ifndef MINTED0
#define MINTED0 2
#endif
#ifndef MINTED1
#define MINTED1 1
#endif
#define TOTAL (MINTED0 + MINTED1)
#ifndef MOST_SENT
#define MOST_SENT 2        /* rights move to and fro at most so often, or there would be no end */
#endif
#define OTHER(r) (1 - r)
#define ANYWHERE(r) (available[r] + held[r] + used[r])

byte available[2], held[2], used[2];
byte sent[2];              /* by the pool of a region, to the other one, altogether */
byte accepted[2];          /* by the pool of a region, from the other one, altogether */
bool born[2];
bool up[2] = true;         /* whether a region and its tables can be reached */
bool fenced[2];            /* nothing is spent or handed out there, by the state in its own table */
bool lost[2];              /* it was fenced from outside, while it could not be reached, and can write nothing */

byte copy_available[2], copy_sent[2];   /* a region's pool as the other region's copy shows it */
bool claimed[2];           /* the other region holds an unsettled claim on this one's pool */
byte claim[2];             /* ... up to so much sent altogether */
byte unproven[2];          /* units claimed that no write has proved to be left */
byte overdraft[2];         /* of these, units that turned out to be spent */

/* A region may be lost once, or the states would be too many. */
bool was_lost;

#define MAY_WRITE(r) (up[r] && !lost[r])
#define MAY_SERVE(r) (MAY_WRITE(r) && !fenced[r])

#ifdef BUG_BORN_TWICE
#define UNBORN(r) (ANYWHERE(r) <= MINTED0 && sent[r] == 0)
#else
#define UNBORN(r) (!born[r])
#endif

#ifdef UNPROVEN
#define PROVEN(r) true
#else
/* nothing was spent or sent after what the copy shows */
#define PROVEN(r) (copy_available[r] == available[r] && copy_sent[r] == sent[r])
#endif

/* Take in what the other region has sent altogether, whatever number comes. */
inline accept(r, number) {
#ifdef BUG_DELTA
    available[r] = available[r] + number;
    accepted[r] = accepted[r] + number
#else
    if
#ifdef BUG_LATE_ACCEPT
    :: number > 0 && number != accepted[r] ->
        if
        :: number > accepted[r] -> available[r] = available[r] + number - accepted[r]
        :: else -> skip
        fi;
        accepted[r] = number
#else
    :: number > accepted[r] ->
        available[r] = available[r] + number - accepted[r];
        accepted[r] = number
#endif
    :: else -> skip
    fi
#endif
}

proctype Region(byte r) {
    byte number;
    do
    /* birth of the pool: put if absent */
    :: atomic { MAY_SERVE(r) && UNBORN(r) ->
           born[r] = true;
           if :: r == 0 -> available[r] = available[r] + MINTED0 :: else -> available[r] = available[r] + MINTED1 fi
       }
    /* refill: pool to allotment */
    :: atomic { MAY_SERVE(r) && available[r] > 0 ->
           available[r]--; held[r]++ }
    /* the decision */
    :: atomic { MAY_SERVE(r) && held[r] > 0 ->
           held[r]--; used[r]++ }
    /* an idle allotment gives back; the sweep works in a fenced region too */
    :: atomic { MAY_WRITE(r) && held[r] > 0 ->
           held[r]--; available[r]++ }
    /* the other region is short and takes, at this region's own table; its call may be lost right after */
    :: atomic { MAY_WRITE(r) && up[OTHER(r)] && !fenced[OTHER(r)] && available[r] > 0 && sent[r] < MOST_SENT ->
           available[r]--; sent[r]++ }
    /* a number this region was sent arrives: by the answer or a copy, the newest or an old one, once or again */
    :: atomic { MAY_WRITE(r) && born[r] && sent[OTHER(r)] > 0 ->
#ifdef BUG_DELTA
           number = 1;
#else
           select(number : 1 .. sent[OTHER(r)]);
#endif
           accept(r, number)
       }
    /* the item is copied, as it is at a moment, perhaps not for a long time */
    :: atomic { up[r] && born[r] && (copy_available[r] != available[r] || copy_sent[r] != sent[r]) ->
           copy_available[r] = available[r]; copy_sent[r] = sent[r] }
    /* everything is over */
    :: timeout -> break
    od
}

/* What befalls a region, and what the operator does about it. */
proctype Loss(byte r) {
    byte units, need;
    /* the region goes, at any moment, with writes nobody has seen */
    atomic { up[r] && !was_lost -> was_lost = true; up[r] = false };
    /* the fence: its writes are denied from outside */
#ifdef BUG_UNFENCED_CLAIM
    up[r] = true;
#else
    atomic { lost[r] = true };
#endif
    if
    /* claim from what the copy shows: an accept in advance, and a record of it */
    :: atomic { born[OTHER(r)] && copy_available[r] > 0 && PROVEN(r) ->
           select(units : 1 .. copy_available[r]);
           claim[r] = copy_sent[r] + units;
           claimed[r] = true;
           unproven[r] = units;
           accept(OTHER(r), claim[r])
       };
#ifdef BUG_CLAIM_TWICE
       atomic { available[OTHER(r)] = available[OTHER(r)] + units; accepted[OTHER(r)] = accepted[OTHER(r)] + units };
#endif
    :: skip
    fi;
    /* it comes back, fenced */
    atomic { up[r] = true; fenced[r] = true; lost[r] = false };
#ifdef BUG_EARLY_READMIT
    fenced[r] = false;
#endif
    /* settle: raise `sent` to what was claimed, and pay for it with what is left; twice, after a crash */
    byte turn = 0;
    do
    :: turn < 2 ->
        /* what its allotments hold is given back first, unit by unit (see Region) */
        if
        :: claimed[r] && held[r] > 0 -> atomic { held[r] == 0 -> skip }
        :: else -> skip
        fi;
        atomic {
            need = 0;
            if
#ifdef BUG_SETTLE_DELTA
            :: claimed[r] -> need = unproven[r]
#else
            :: claimed[r] && claim[r] > sent[r] -> need = claim[r] - sent[r]
#endif
            :: else -> skip
            fi;
            if
            :: need > available[r] ->
                overdraft[r] = overdraft[r] + need - available[r];
                available[r] = 0
            :: else -> available[r] = available[r] - need
            fi;
            sent[r] = sent[r] + need
        };
        turn++
    :: else -> break
    od;
    atomic { claimed[r] = false; fenced[r] = false; lost[r] = false }
}

#define SPENT (used[0] + used[1])
#define UNDER_WAY(r) (sent[r] - accepted[OTHER(r)])

/* Holds in every state. */
active proctype Watch() {
    atomic {
#ifdef UNPROVEN
        /* never beyond what was claimed without a proof */
        (SPENT > TOTAL + unproven[0] + unproven[1]) -> assert(false)
#else
        (SPENT > TOTAL) -> assert(false)
#endif
    }
}

/* Once nothing is claimed any more, every unit is accounted for, the overdrawn ones by name. */
active proctype Account() {
    atomic {
        (born[0] && born[1] && !claimed[0] && !claimed[1] &&
            ANYWHERE(0) + ANYWHERE(1) + UNDER_WAY(0) + UNDER_WAY(1) != TOTAL + overdraft[0] + overdraft[1])
        -> assert(false)
    }
}

init {
    atomic { run Region(0); run Region(1); run Loss(0); run Loss(1) }
}
