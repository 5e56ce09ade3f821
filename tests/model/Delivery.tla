------------------------------ MODULE Delivery ------------------------------
(***************************************************************************)
(* One event on its way to one endpoint: workers who claim it until a      *)
(* moment, send it, and write down what came of it; somebody who replays   *)
(* it; an endpoint that is disabled, enabled and deleted meanwhile.        *)
(* chalicelib/webhook_delivery.py, Courier.deliver, and                    *)
(* chalicelib/webhooks.py, Webhooks.replay.                                *)
(*                                                                         *)
(* Time is what is left of it: a tick takes one from all that is awaited,  *)
(* so that it goes on for ever and the states are finite. A `dueAt` is     *)
(* known again by what has set it: no two are the same moment.             *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Workers,
    Lease,          \* in ticks
    Delay,          \* before another attempt, in ticks
    MaxAttempts,
    Answers,        \* of the merchant: "ok", "bad", "gone"
    Faults,         \* how often something goes wrong, in all
    Replays,        \* how often somebody replays it
    Moves,          \* how often somebody changes the endpoint
    WorkersStop,    \* whether a worker is stopped before its lease is over, as Lambda does
    None,
    Broken          \* the rule that this run leaves out; "nothing" is the code

VARIABLES
    faults, replays, moves,
    row,            \* the delivery
    endpoint,
    accepted,       \* whether the merchant ever said yes
    hinted,         \* whether there is a message that can be received
    worker,
    replayer

vars == <<faults, replays, moves, row, endpoint, accepted, hinted, worker, replayer>>

Idle == [pc |-> "idle", left |-> 0]

Init ==
    /\ faults = Faults
    /\ replays = Replays
    /\ moves = Moves
    /\ row = [state |-> "pending", reason |-> None, due |-> 0, by |-> None, made |-> 0,
              underWay |-> FALSE, round |-> 0]
    /\ endpoint = "enabled"
    /\ accepted = FALSE
    /\ hinted \in BOOLEAN      \* the first hint may be lost
    /\ worker = [w \in Workers |-> Idle]
    /\ replayer = [pc |-> "idle"]

GoesWrong == faults > 0 /\ faults' = faults - 1

\* Two readings of `dueAt` are the same if this is.
DueAt(r) == IF r.due = None THEN <<None>> ELSE <<r.round, r.made, r.by>>

Ended(r, state, reason) ==
    [r EXCEPT !.state = state, !.reason = reason, !.due = None, !.by = None, !.underWay = FALSE]

-----------------------------------------------------------------------------
(* The worker. *)

Receive(w) ==
    /\ hinted
    /\ worker[w] = Idle
    /\ hinted' = FALSE
    /\ worker' = [worker EXCEPT ![w] = [pc |-> "claim", left |-> 0]]
    /\ UNCHANGED <<faults, replays, moves, row, endpoint, accepted, replayer>>

IsDue == row.due # None /\ (row.due = 0 \/ Broken = "ClaimBeforeItIsDue")

ClaimedBy(w) ==
    [row EXCEPT !.due = IF Broken = "ClaimWithoutLease" THEN 0 ELSE Lease,
                !.by = w, !.made = @ + 1, !.underWay = TRUE]

Claim(w) ==
    /\ worker[w].pc = "claim"
    /\ IF IsDue
       THEN /\ row' = ClaimedBy(w)
            /\ worker' = [worker EXCEPT ![w] =
                            [pc |-> "look", left |-> Lease, claimed |-> row']]
       ELSE /\ worker' = [worker EXCEPT ![w] = Idle]
            /\ UNCHANGED row
    /\ UNCHANGED <<faults, replays, moves, endpoint, accepted, hinted, replayer>>

\* It is claimed and the worker does not learn it; the second try finds it not due.
ClaimUnheard(w) ==
    /\ GoesWrong
    /\ worker[w].pc = "claim"
    /\ IsDue
    /\ row' = ClaimedBy(w)
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<replays, moves, endpoint, accepted, hinted, replayer>>

Refusal(r) ==
    CASE endpoint = "deleted" -> "endpoint_deleted"
      [] endpoint = "disabled" -> "endpoint_disabled"
      [] endpoint = "enabled" /\ r.made > MaxAttempts -> "exhausted"
      [] OTHER -> None

IsStillHis(w) == Broken = "NoFence" \/ DueAt(row) = DueAt(worker[w].claimed)

Look(w) ==
    /\ worker[w].pc = "look"
    /\ LET claimed == worker[w].claimed
           refusal == Refusal(claimed)
       IN  worker' = [worker EXCEPT ![w] =
            IF refusal # None
            THEN [pc |-> "record", left |-> @.left, claimed |-> claimed,
                  after |-> Ended(claimed, "failed", refusal)]
            ELSE [@ EXCEPT !.pc = "send"]]
    /\ row' = IF Broken = "RecordBeforeSending" /\ IsStillHis(w)
              THEN Ended(worker[w].claimed, "delivered", None) ELSE row
    /\ UNCHANGED <<faults, replays, moves, endpoint, accepted, hinted, replayer>>

\* What is made of the merchant's answer.
After(claimed, said) ==
    CASE said = "ok" -> Ended(claimed, "delivered", None)
      [] said = "gone" -> Ended(claimed, "failed", "gone")
      [] said = "bad" /\ claimed.made >= MaxAttempts -> Ended(claimed, "failed", "exhausted")
      [] OTHER -> [claimed EXCEPT !.due = Delay, !.by = None, !.underWay = FALSE]

Post(w, said) ==
    /\ worker[w].pc = "send"
    /\ accepted' = (accepted \/ said = "ok")
    /\ worker' = [worker EXCEPT ![w] =
                    [pc |-> "record", left |-> @.left, claimed |-> @.claimed,
                     after |-> After(@.claimed, said)]]
    /\ UNCHANGED <<faults, replays, moves, row, endpoint, hinted, replayer>>

\* What is left to do once it is written, or was not: an endpoint that is gone is disabled, an
\* attempt that is to come is hinted of.
Next_(w) ==
    CASE worker[w].after.reason = "gone" -> "disable"
      [] worker[w].after.due # None -> "hint"
      [] OTHER -> "idle"

Record(w) ==
    /\ worker[w].pc = "record"
    /\ row' = IF IsStillHis(w) THEN worker[w].after ELSE row
    /\ worker' = [worker EXCEPT ![w] =
                    IF Next_(w) = "idle" THEN Idle ELSE [pc |-> Next_(w), left |-> @.left]]
    /\ UNCHANGED <<faults, replays, moves, endpoint, accepted, hinted, replayer>>

Disable(w) ==
    /\ worker[w].pc = "disable"
    /\ endpoint' = IF endpoint = "enabled" THEN "disabled" ELSE endpoint
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<faults, replays, moves, row, accepted, hinted, replayer>>

Hint(w) ==
    /\ worker[w].pc = "hint"
    /\ hinted' = TRUE
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<faults, replays, moves, row, endpoint, accepted, replayer>>

\* Killed at any point; its message comes again, or is dead.
Kill(w, again) ==
    /\ GoesWrong
    /\ worker[w] # Idle
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ hinted' = (hinted \/ again)
    /\ UNCHANGED <<replays, moves, row, endpoint, accepted, replayer>>

-----------------------------------------------------------------------------
(* Time, the queue and the sweeper. *)

Less(ticks) == IF ticks = None \/ ticks = 0 THEN ticks ELSE ticks - 1

IsBusy(w) == worker[w].pc \notin {"idle", "claim"}

Passes ==
    /\ row' = [row EXCEPT !.due = Less(@)]
    /\ worker' = [w \in Workers |-> [worker[w] EXCEPT !.left = Less(@)]]
    /\ UNCHANGED <<replays, moves, endpoint, accepted, hinted, replayer>>

IsTimely == \A w \in Workers : IsBusy(w) => worker[w].left # 1

\* Workers are done in time.
Tick ==
    /\ IsTimely
    /\ (row.due # None /\ row.due > 0) \/ \E w \in Workers : worker[w].left > 0
    /\ Passes
    /\ UNCHANGED faults

\* One is not.
TickLate ==
    /\ ~WorkersStop
    /\ GoesWrong
    /\ ~IsTimely
    /\ Passes

LoseHint ==
    /\ GoesWrong
    /\ hinted
    /\ hinted' = FALSE
    /\ UNCHANGED <<replays, moves, row, endpoint, accepted, worker, replayer>>

\* A message comes twice, too early, or for what is done.
StrayHint ==
    /\ GoesWrong
    /\ hinted' = TRUE
    /\ UNCHANGED <<replays, moves, row, endpoint, accepted, worker, replayer>>

Sweep ==
    /\ Broken # "NoSweeper"
    /\ row.due = 0
    /\ hinted' = TRUE
    /\ UNCHANGED <<faults, replays, moves, row, endpoint, accepted, worker, replayer>>

-----------------------------------------------------------------------------
(* People: replay, and the endpoint's settings. *)

ReplayRead ==
    /\ replays > 0
    /\ replayer.pc = "idle"
    /\ endpoint = "enabled"
    /\ ~(row.underWay /\ row.due # None /\ row.due > 0) \/ Broken = "ReplayWhatIsUnderWay"
    /\ replays' = replays - 1
    /\ replayer' = [pc |-> "commit", seen |-> row]
    /\ UNCHANGED <<faults, moves, row, endpoint, accepted, hinted, worker>>

IsAsSeen(seen) ==
    \/ (DueAt(row) = DueAt(seen) /\ row.state = seen.state)
    \/ Broken = "ReplayWhatMoved"

ReplayCommit ==
    /\ replayer.pc = "commit"
    /\ replayer' = [pc |-> "idle"]
    /\ IF IsAsSeen(replayer.seen)
       THEN /\ row' = [state |-> "pending", reason |-> None, due |-> 0, by |-> None, made |-> 0,
                       underWay |-> replayer.seen.underWay, round |-> row.round + 1]
            /\ hinted' \in {TRUE, hinted}      \* its hint may be lost
       ELSE UNCHANGED <<row, hinted>>
    /\ UNCHANGED <<faults, replays, moves, endpoint, accepted, worker>>

ChangeEndpoint(to) ==
    /\ moves > 0
    /\ endpoint \notin {to, "deleted"}
    /\ moves' = moves - 1
    /\ endpoint' = to
    /\ UNCHANGED <<faults, replays, row, accepted, hinted, worker, replayer>>

Next ==
    \/ \E w \in Workers : Receive(w)
    \/ \E w \in Workers : Claim(w)
    \/ \E w \in Workers : ClaimUnheard(w)
    \/ \E w \in Workers : Look(w)
    \/ \E w \in Workers, said \in Answers : Post(w, said)
    \/ \E w \in Workers : Record(w)
    \/ \E w \in Workers : Disable(w)
    \/ \E w \in Workers : Hint(w)
    \/ \E w \in Workers, again \in BOOLEAN : Kill(w, again)
    \/ Tick
    \/ TickLate
    \/ LoseHint
    \/ StrayHint
    \/ Sweep
    \/ ReplayRead
    \/ ReplayCommit
    \/ \E to \in {"enabled", "disabled", "deleted"} : ChangeEndpoint(to)

\* Whoever can go on does at some time, time passes, and a queue gives each message out.
Fairness ==
    /\ \A w \in Workers :
        WF_vars(\/ Claim(w) \/ Look(w) \/ Record(w) \/ Disable(w) \/ Hint(w)
                \/ \E said \in Answers : Post(w, said))
    /\ SF_vars(\E w \in Workers : Receive(w))
    /\ WF_vars(Tick) /\ WF_vars(Sweep) /\ WF_vars(ReplayCommit)

Symmetry == Permutations(Workers)

Spec == Init /\ [][Next]_vars /\ Fairness

-----------------------------------------------------------------------------
(* What holds in every state. *)

HasIt(w) == worker[w].pc \in {"look", "send", "record"}

AtMostOneInItsLease == Cardinality({w \in Workers : HasIt(w) /\ worker[w].left > 0}) <= 1

\* Where workers are stopped in time. Else a second may send while the first is late.
AtMostOneAtWork == WorkersStop => Cardinality({w \in Workers : HasIt(w)}) <= 1

DeliveredWasAccepted == row.state = "delivered" => accepted

\* The index of what is due has all that is pending, and nothing besides.
PendingIsFindable == row.state = "pending" <=> row.due # None

FailedForAReason ==
    /\ row.state = "failed" <=> row.reason # None
    /\ row.reason = "exhausted" => row.made >= MaxAttempts
    /\ row.reason = "gone" => "gone" \in Answers

\* More may be begun, when workers are killed; they are not sent.
AttemptsAreBounded ==
    \A w \in Workers : worker[w].pc = "send" => worker[w].claimed.made <= MaxAttempts

-----------------------------------------------------------------------------
(* What no step does, and what happens at last. *)

\* The end is written by the worker whose claim holds, and by no one whom a replay or another
\* claim has overtaken.
OnlyTheClaimantEndsIt ==
    [][(row.state = "pending" /\ row'.state # "pending") =>
        \E w \in Workers : HasIt(w) /\ DueAt(worker[w].claimed) = DueAt(row)]_vars

EveryDeliveryEnds == (row.state = "pending") ~> (row.state # "pending")

\* With a merchant who answers, an endpoint that stays, and fewer faults than attempts.
EveryDeliveryArrives == (row.state = "pending") ~> (row.state = "delivered")

=============================================================================
