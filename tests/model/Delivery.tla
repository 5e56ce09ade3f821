------------------------------ MODULE Delivery ------------------------------
(***************************************************************************)
(* One delivery of one event to one endpoint. Workers take a lease, send,  *)
(* and record the result. A client replays the delivery. The endpoint is   *)
(* disabled, enabled and deleted meanwhile.                                *)
(* chalicelib/webhooks/delivery_worker.py, DeliveryWorker.deliver, and     *)
(* chalicelib/webhooks/service.py, Webhooks.replay.                        *)
(*                                                                         *)
(* Time is modeled as what is left of it: a tick takes one from every      *)
(* countdown. So time never ends, and the states are finite. A `dueAt` is  *)
(* identified by the step that set it: no two are the same moment.         *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Workers,
    Lease,          \* in ticks
    Delay,          \* before another attempt, in ticks
    MaxAttempts,
    Answers,        \* of the merchant: "ok", "bad", "gone"
    Faults,         \* how many faults there may be
    Replays,        \* how many replays there may be
    Moves,          \* how many changes of the endpoint there may be
    WorkersStop,    \* whether a worker is stopped before its lease ends, as Lambda does
    None,
    Broken          \* the rule that this run leaves out; "nothing": as the code is

VARIABLES
    faults, replays, moves,
    row,            \* the delivery
    endpoint,
    accepted,       \* whether the merchant ever accepted it
    enqueued,       \* whether there is a message that can be received
    worker,
    replayer

vars == <<faults, replays, moves, row, endpoint, accepted, enqueued, worker, replayer>>

Idle == [pc |-> "idle", left |-> 0]

Init ==
    /\ faults = Faults
    /\ replays = Replays
    /\ moves = Moves
    /\ row = [state |-> "pending", reason |-> None, due |-> 0, by |-> None, made |-> 0,
              inProgress |-> FALSE, round |-> 0]
    /\ endpoint = "enabled"
    /\ accepted = FALSE
    /\ enqueued \in BOOLEAN      \* the first message may be lost
    /\ worker = [w \in Workers |-> Idle]
    /\ replayer = [pc |-> "idle"]

GoesWrong == faults > 0 /\ faults' = faults - 1

\* Two values of `dueAt` are equal if these are.
DueAt(r) == IF r.due = None THEN <<None>> ELSE <<r.round, r.made, r.by>>

Ended(r, state, reason) ==
    [r EXCEPT !.state = state, !.reason = reason, !.due = None, !.by = None, !.inProgress = FALSE]

-----------------------------------------------------------------------------
(* The worker. *)

Receive(w) ==
    /\ enqueued
    /\ worker[w] = Idle
    /\ enqueued' = FALSE
    /\ worker' = [worker EXCEPT ![w] = [pc |-> "lease", left |-> 0]]
    /\ UNCHANGED <<faults, replays, moves, row, endpoint, accepted, replayer>>

IsDue == row.due # None /\ (row.due = 0 \/ Broken = "LeaseBeforeItIsDue")

LeasedBy(w) ==
    [row EXCEPT !.due = IF Broken = "LeaseEndsAtOnce" THEN 0 ELSE Lease,
                !.by = w, !.made = @ + 1, !.inProgress = TRUE]

TakeLease(w) ==
    /\ worker[w].pc = "lease"
    /\ IF IsDue
       THEN /\ row' = LeasedBy(w)
            /\ worker' = [worker EXCEPT ![w] =
                            [pc |-> "look", left |-> Lease, leased |-> row']]
       ELSE /\ worker' = [worker EXCEPT ![w] = Idle]
            /\ UNCHANGED row
    /\ UNCHANGED <<faults, replays, moves, endpoint, accepted, enqueued, replayer>>

\* The lease is taken, but the answer is lost: the resend finds the delivery not due.
TakeLeaseUnheard(w) ==
    /\ GoesWrong
    /\ worker[w].pc = "lease"
    /\ IsDue
    /\ row' = LeasedBy(w)
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<replays, moves, endpoint, accepted, enqueued, replayer>>

ReasonNotToSend(r) ==
    CASE endpoint = "deleted" -> "endpoint_deleted"
      [] endpoint = "disabled" -> "endpoint_disabled"
      [] endpoint = "enabled" /\ r.made > MaxAttempts -> "exhausted"
      [] OTHER -> None

HoldsLease(w) == Broken = "RecordIgnoresLease" \/ DueAt(row) = DueAt(worker[w].leased)

Look(w) ==
    /\ worker[w].pc = "look"
    /\ LET leased == worker[w].leased
           reason == ReasonNotToSend(leased)
       IN  worker' = [worker EXCEPT ![w] =
            IF reason # None
            THEN [pc |-> "record", left |-> @.left, leased |-> leased,
                  after |-> Ended(leased, "failed", reason)]
            ELSE [@ EXCEPT !.pc = "send"]]
    /\ row' = IF Broken = "RecordBeforeSending" /\ HoldsLease(w)
              THEN Ended(worker[w].leased, "delivered", None) ELSE row
    /\ UNCHANGED <<faults, replays, moves, endpoint, accepted, enqueued, replayer>>

\* The delivery after the merchant's answer.
After(leased, said) ==
    CASE said = "ok" -> Ended(leased, "delivered", None)
      [] said = "gone" -> Ended(leased, "failed", "gone")
      [] said = "bad" /\ leased.made >= MaxAttempts -> Ended(leased, "failed", "exhausted")
      [] OTHER -> [leased EXCEPT !.due = Delay, !.by = None, !.inProgress = FALSE]

Post(w, said) ==
    /\ worker[w].pc = "send"
    /\ accepted' = (accepted \/ said = "ok")
    /\ worker' = [worker EXCEPT ![w] =
                    [pc |-> "record", left |-> @.left, leased |-> @.leased,
                     after |-> After(@.leased, said)]]
    /\ UNCHANGED <<faults, replays, moves, row, endpoint, enqueued, replayer>>

\* What the worker does next, recorded or not: it disables an endpoint that is gone, or enqueues
\* a message for the next attempt.
AfterRecord(w) ==
    CASE worker[w].after.reason = "gone" -> "disable"
      [] worker[w].after.due # None -> "enqueue"
      [] OTHER -> "idle"

Record(w) ==
    /\ worker[w].pc = "record"
    /\ row' = IF HoldsLease(w) THEN worker[w].after ELSE row
    /\ worker' = [worker EXCEPT ![w] =
                    IF AfterRecord(w) = "idle" THEN Idle
                    ELSE [pc |-> AfterRecord(w), left |-> @.left]]
    /\ UNCHANGED <<faults, replays, moves, endpoint, accepted, enqueued, replayer>>

Disable(w) ==
    /\ worker[w].pc = "disable"
    /\ endpoint' = IF endpoint = "enabled" THEN "disabled" ELSE endpoint
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<faults, replays, moves, row, accepted, enqueued, replayer>>

Enqueue(w) ==
    /\ worker[w].pc = "enqueue"
    /\ enqueued' = TRUE
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<faults, replays, moves, row, endpoint, accepted, replayer>>

\* The worker is killed at any point; its message comes again, or is dead-lettered.
Kill(w, again) ==
    /\ GoesWrong
    /\ worker[w] # Idle
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ enqueued' = (enqueued \/ again)
    /\ UNCHANGED <<replays, moves, row, endpoint, accepted, replayer>>

-----------------------------------------------------------------------------
(* Time, the queue and the sweeper. *)

Less(ticks) == IF ticks = None \/ ticks = 0 THEN ticks ELSE ticks - 1

IsBusy(w) == worker[w].pc \notin {"idle", "lease"}

Passes ==
    /\ row' = [row EXCEPT !.due = Less(@)]
    /\ worker' = [w \in Workers |-> [worker[w] EXCEPT !.left = Less(@)]]
    /\ UNCHANGED <<replays, moves, endpoint, accepted, enqueued, replayer>>

IsTimely == \A w \in Workers : IsBusy(w) => worker[w].left # 1

\* Every worker ends within its lease.
Tick ==
    /\ IsTimely
    /\ (row.due # None /\ row.due > 0) \/ \E w \in Workers : worker[w].left > 0
    /\ Passes
    /\ UNCHANGED faults

\* A worker outlives its lease.
TickLate ==
    /\ ~WorkersStop
    /\ GoesWrong
    /\ ~IsTimely
    /\ Passes

LoseMessage ==
    /\ GoesWrong
    /\ enqueued
    /\ enqueued' = FALSE
    /\ UNCHANGED <<replays, moves, row, endpoint, accepted, worker, replayer>>

\* A message comes twice, too early, or after the end.
StrayMessage ==
    /\ GoesWrong
    /\ enqueued' = TRUE
    /\ UNCHANGED <<replays, moves, row, endpoint, accepted, worker, replayer>>

Sweep ==
    /\ Broken # "NoSweeper"
    /\ row.due = 0
    /\ enqueued' = TRUE
    /\ UNCHANGED <<faults, replays, moves, row, endpoint, accepted, worker, replayer>>

-----------------------------------------------------------------------------
(* Clients: a replay, and changes of the endpoint. *)

ReplayRead ==
    /\ replays > 0
    /\ replayer.pc = "idle"
    /\ endpoint = "enabled"
    /\ ~(row.inProgress /\ row.due # None /\ row.due > 0) \/ Broken = "ReplayDuringAttempt"
    /\ replays' = replays - 1
    /\ replayer' = [pc |-> "commit", seen |-> row]
    /\ UNCHANGED <<faults, moves, row, endpoint, accepted, enqueued, worker>>

IsAsSeen(seen) ==
    \/ (DueAt(row) = DueAt(seen) /\ row.state = seen.state)
    \/ Broken = "ReplayIgnoresChanges"

ReplayCommit ==
    /\ replayer.pc = "commit"
    /\ replayer' = [pc |-> "idle"]
    /\ IF IsAsSeen(replayer.seen)
       THEN /\ row' = [state |-> "pending", reason |-> None, due |-> 0, by |-> None, made |-> 0,
                       inProgress |-> replayer.seen.inProgress, round |-> row.round + 1]
            /\ enqueued' \in {TRUE, enqueued}      \* its message may be lost
       ELSE UNCHANGED <<row, enqueued>>
    /\ UNCHANGED <<faults, replays, moves, endpoint, accepted, worker>>

ChangeEndpoint(to) ==
    /\ moves > 0
    /\ endpoint \notin {to, "deleted"}
    /\ moves' = moves - 1
    /\ endpoint' = to
    /\ UNCHANGED <<faults, replays, row, accepted, enqueued, worker, replayer>>

Next ==
    \/ \E w \in Workers : Receive(w)
    \/ \E w \in Workers : TakeLease(w)
    \/ \E w \in Workers : TakeLeaseUnheard(w)
    \/ \E w \in Workers : Look(w)
    \/ \E w \in Workers, said \in Answers : Post(w, said)
    \/ \E w \in Workers : Record(w)
    \/ \E w \in Workers : Disable(w)
    \/ \E w \in Workers : Enqueue(w)
    \/ \E w \in Workers, again \in BOOLEAN : Kill(w, again)
    \/ Tick
    \/ TickLate
    \/ LoseMessage
    \/ StrayMessage
    \/ Sweep
    \/ ReplayRead
    \/ ReplayCommit
    \/ \E to \in {"enabled", "disabled", "deleted"} : ChangeEndpoint(to)

\* Every enabled step is taken eventually, time passes, and each message is received eventually.
Fairness ==
    /\ \A w \in Workers :
        WF_vars(\/ TakeLease(w) \/ Look(w) \/ Record(w) \/ Disable(w) \/ Enqueue(w)
                \/ \E said \in Answers : Post(w, said))
    /\ SF_vars(\E w \in Workers : Receive(w))
    /\ WF_vars(Tick) /\ WF_vars(Sweep) /\ WF_vars(ReplayCommit)

Symmetry == Permutations(Workers)

Spec == Init /\ [][Next]_vars /\ Fairness

-----------------------------------------------------------------------------
(* What holds in every state. *)

HasIt(w) == worker[w].pc \in {"look", "send", "record"}

AtMostOneInItsLease == Cardinality({w \in Workers : HasIt(w) /\ worker[w].left > 0}) <= 1

\* If workers are stopped in time. Otherwise a second one may send while the first is late.
AtMostOneAtWork == WorkersStop => Cardinality({w \in Workers : HasIt(w)}) <= 1

DeliveredWasAccepted == row.state = "delivered" => accepted

\* The due index has every pending delivery, and no other.
PendingIsFindable == row.state = "pending" <=> row.due # None

FailedForAReason ==
    /\ row.state = "failed" <=> row.reason # None
    /\ row.reason = "exhausted" => row.made >= MaxAttempts
    /\ row.reason = "gone" => "gone" \in Answers

\* If workers are killed, more attempts may begin, but none of them is sent.
AttemptsAreBounded ==
    \A w \in Workers : worker[w].pc = "send" => worker[w].leased.made <= MaxAttempts

-----------------------------------------------------------------------------
(* What no step does, and what happens eventually. *)

\* Only the worker that holds the lease ends a delivery: none that lost it to a replay or to
\* another worker.
OnlyTheLeaseHolderEndsIt ==
    [][(row.state = "pending" /\ row'.state # "pending") =>
        \E w \in Workers : HasIt(w) /\ DueAt(worker[w].leased) = DueAt(row)]_vars

EveryDeliveryEnds == (row.state = "pending") ~> (row.state # "pending")

\* If the merchant accepts, the endpoint stays, and there are fewer faults than attempts.
EveryDeliveryArrives == (row.state = "pending") ~> (row.state = "delivered")

=============================================================================
