------------------------------- MODULE Settle -------------------------------
(***************************************************************************)
(* How a committed payment ends. Workers mark it as submitted, ask the     *)
(* processor and commit. Clients cancel. A bank says what it likes, as     *)
(* often as it likes. The sweeper reads an index that lags.                *)
(* chalicelib/payments/service.py, Payments.settle, .record and .cancel.   *)
(*                                                                         *)
(* A bank has one code: a second one is a fact that does not fit, as       *)
(* others are.                                                             *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
    Payments,
    Workers,
    Cancelers,  \* each asks once
    Faults,     \* how many faults there may be
    Pendings,   \* how often a bank has not decided yet
    Says,       \* how often a bank speaks without being asked
    None,
    Broken      \* the rule that this run leaves out; "nothing": as the code is

VARIABLES
    faults, pendings,
    row,        \* the payments table
    events,     \* of each payment
    deliveries, \* the events for which deliveries were written
    totals,
    indexed,    \* whether the index has the payment as processing
    asked,      \* whether the processor was ever asked about the payment
    verdict,    \* the processor's decision, which never changes
    queue,      \* visible messages: a payment, and how often it was received
    dead,       \* the dead letter queue
    worker,
    canceler,
    bank

vars == <<faults, pendings, row, events, deliveries, totals, indexed, asked, verdict, queue, dead,
          worker, canceler, bank>>

Outcomes == {"completed", "failed"}
Ends == Outcomes \cup {"returned"}    \* what a bank may say
Final == Ends \cup {"canceled"}
MaxReceives == 3
Messages == Payments \X (0 .. MaxReceives - 1)
VisibleAgain == 0    \* `receives` of a worker whose message became visible to others

Idle == [pc |-> "idle"]

Init ==
    /\ faults = Faults
    /\ pendings = Pendings
    /\ row = [p \in Payments |-> [status |-> "processing", submitted |-> FALSE, version |-> 1,
                             said |-> {}]]
    /\ events = [p \in Payments |-> <<"created">>]
    /\ deliveries = [p \in Payments |-> <<>>]
    /\ totals = [s \in Final |-> 0]
    /\ indexed = [p \in Payments |-> FALSE]
    /\ asked = [p \in Payments |-> FALSE]
    /\ verdict = [p \in Payments |-> None]
    /\ queue \in SUBSET {<<p, 0>> : p \in Payments}    \* the first message may be lost
    /\ dead = {}
    /\ worker = [w \in Workers |-> Idle]
    /\ canceler = [k \in Cancelers |-> Idle]
    /\ bank = [pc |-> "idle", says |-> Says, spoken |-> {}]

GoesWrong == faults > 0 /\ faults' = faults - 1

-----------------------------------------------------------------------------
(* The transaction: from the payment that was read, to a final status. *)

IsAsSeen(p, seen) ==
    CASE Broken = "NoVersionCheck" -> TRUE
      [] Broken = "CancelIgnoresSubmission" ->
            row[p].status = seen.status /\ row[p].version = seen.version
      [] OTHER -> row[p] = seen

\* To another status: the event, its deliveries and the totals come with it.
Written(p, seen, to) ==
    /\ row' = [row EXCEPT ![p] = [seen EXCEPT !.status = to, !.version = @ + 1]]
    /\ events' = [events EXCEPT ![p] = Append(@, to)]
    /\ deliveries' = IF Broken = "DeliveriesAfterwards" THEN deliveries
                     ELSE [deliveries EXCEPT ![p] = Append(@, to)]
    /\ totals' = IF Broken = "CountedAfterwards" THEN totals
                 ELSE [s \in Final |-> totals[s] + (IF s = to THEN 1 ELSE 0)
                                                 - (IF s = seen.status THEN 1 ELSE 0)]

\* Whether the bank has said so before, as far as this row knows.
IsTold(seen, fact) ==
    \/ fact \in seen.said
    \/ fact = "completed" /\ seen.status \in {"completed", "returned"}
    \/ fact = "failed" /\ seen.status = "failed"
    \/ fact = "returned" /\ seen.status \in {"failed", "returned"}

To(seen, fact) ==
    CASE seen.status = "processing" -> (IF fact = "completed" THEN "completed" ELSE "failed")
      [] seen.status = "completed" /\ fact = "returned" -> "returned"
      [] OTHER -> "contradicted"

\* What a bank said, of a payment that was read.
Recorded(p, seen, fact) ==
    IF To(seen, fact) # "contradicted" THEN Written(p, seen, To(seen, fact))
    ELSE /\ row' = [row EXCEPT ![p] = [seen EXCEPT
                !.version = @ + 1,
                !.said = IF Broken = "ForgetWhatDoesNotFit" THEN @ ELSE @ \cup {fact}]]
         /\ events' = [events EXCEPT ![p] = Append(@, "contradicted")]
         /\ UNCHANGED <<deliveries, totals>>

-----------------------------------------------------------------------------
(* The queue. *)

\* A message that is not deleted becomes visible again, or is dead-lettered.
SeenAgain(w) ==
    LET p == worker[w].payment
        receives == worker[w].receives
    IN  CASE receives = VisibleAgain -> UNCHANGED <<queue, dead>>
          [] receives = MaxReceives -> dead' = dead \cup {p} /\ UNCHANGED queue
          [] OTHER -> queue' = queue \cup {<<p, receives>>} /\ UNCHANGED dead

Receive(w, m) ==
    /\ worker[w] = Idle
    /\ m \in queue
    /\ queue' = queue \ {m}
    /\ worker' = [worker EXCEPT ![w] =
                    [pc |-> "submit", payment |-> m[1], receives |-> m[2] + 1]]
    /\ UNCHANGED <<faults, pendings, row, events, deliveries, totals, indexed, asked, verdict,
                   dead, canceler, bank>>

\* The visibility timeout ends during the work: another worker can receive the message.
BecomeVisible(w) ==
    /\ GoesWrong
    /\ worker[w] # Idle
    /\ worker[w].receives # VisibleAgain
    /\ SeenAgain(w)
    /\ worker' = [worker EXCEPT ![w].receives = VisibleAgain]
    /\ UNCHANGED <<pendings, row, events, deliveries, totals, indexed, asked, verdict, canceler, bank>>

LoseMessage(m) ==
    /\ GoesWrong
    /\ m \in queue
    /\ queue' = queue \ {m}
    /\ UNCHANGED <<pendings, row, events, deliveries, totals, indexed, asked, verdict, dead,
                   worker, canceler, bank>>

-----------------------------------------------------------------------------
(* The worker. *)

MarkSubmitted(w) ==
    /\ worker[w].pc = "submit"
    /\ LET p == worker[w].payment
           marked == [row[p] EXCEPT !.submitted = (Broken # "NotMarkedSubmitted") \/ @]
       IN  IF row[p].status = "processing"
           THEN /\ row' = [row EXCEPT ![p] = marked]
                /\ worker' = [worker EXCEPT ![w] =
                                [pc |-> "ask", payment |-> p, receives |-> @.receives,
                                 seen |-> marked]]
           ELSE /\ worker' = [worker EXCEPT ![w].pc = "acknowledge"]
                /\ UNCHANGED row
    /\ UNCHANGED <<faults, pendings, events, deliveries, totals, indexed, asked, verdict, queue,
                   dead, canceler, bank>>

\* The payment is marked, but the answer is lost: the message comes again.
MarkSubmittedUnheard(w) ==
    /\ GoesWrong
    /\ worker[w].pc = "submit"
    /\ LET p == worker[w].payment
       IN  row' = IF row[p].status = "processing"
                  THEN [row EXCEPT ![p].submitted = TRUE] ELSE row
    /\ SeenAgain(w)
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<pendings, events, deliveries, totals, indexed, asked, verdict, canceler, bank>>

Ask(w, outcome) ==
    LET p == worker[w].payment
    IN  /\ worker[w].pc = "ask"
        /\ verdict[p] \in {None, outcome}
        /\ verdict' = [verdict EXCEPT ![p] = outcome]
        /\ asked' = [asked EXCEPT ![p] = TRUE]
        /\ worker' = [worker EXCEPT ![w] = [pc |-> "commit", outcome |-> outcome] @@ @]
        /\ UNCHANGED <<faults, pendings, row, events, deliveries, totals, indexed, queue, dead,
                       canceler, bank>>

AskPending(w) ==
    /\ worker[w].pc = "ask"
    /\ pendings > 0
    /\ pendings' = pendings - 1
    /\ asked' = [asked EXCEPT ![worker[w].payment] = TRUE]
    /\ worker' = [worker EXCEPT ![w].pc = "acknowledge"]
    /\ UNCHANGED <<faults, row, events, deliveries, totals, indexed, verdict, queue, dead,
                   canceler, bank>>

\* The processor raises, although it may have decided.
ProcessorFails(w, outcome) ==
    LET p == worker[w].payment
    IN  /\ GoesWrong
        /\ worker[w].pc = "ask"
        /\ verdict[p] \in {None, outcome}
        /\ verdict' = [verdict EXCEPT ![p] = outcome]
        /\ asked' = [asked EXCEPT ![p] = TRUE]
        /\ IF Broken = "GuessTheUnknown"
           THEN /\ worker' = [worker EXCEPT ![w] = [pc |-> "commit", outcome |-> "failed"] @@ @]
                /\ UNCHANGED <<queue, dead>>
           ELSE /\ SeenAgain(w)
                /\ worker' = [worker EXCEPT ![w] = Idle]
        /\ UNCHANGED <<pendings, row, events, deliveries, totals, indexed, canceler, bank>>

Commit(w) ==
    /\ worker[w].pc = "commit"
    /\ LET p == worker[w].payment
           seen == worker[w].seen
           fact == worker[w].outcome
       IN  CASE IsTold(seen, fact) ->    \* another worker was faster, or the bank itself
                    /\ worker' = [worker EXCEPT ![w].pc = "acknowledge"]
                    /\ UNCHANGED <<row, events, deliveries, totals>>
             [] ~IsTold(seen, fact) /\ IsAsSeen(p, seen) ->
                    /\ Recorded(p, seen, fact)
                    /\ worker' = [worker EXCEPT ![w].pc = "acknowledge"]
             [] OTHER ->    \* it changed: retry on the current payment
                    /\ worker' = [worker EXCEPT ![w].seen = row[p]]
                    /\ UNCHANGED <<row, events, deliveries, totals>>
    /\ UNCHANGED <<faults, pendings, indexed, asked, verdict, queue, dead, canceler, bank>>

\* The transaction is done, but its answer is lost.
CommitUnheard(w) ==
    /\ GoesWrong
    /\ worker[w].pc = "commit"
    /\ LET p == worker[w].payment
           seen == worker[w].seen
           fact == worker[w].outcome
       IN  ~IsTold(seen, fact) /\ IsAsSeen(p, seen) /\ Recorded(p, seen, fact)
    /\ SeenAgain(w)
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<pendings, indexed, asked, verdict, canceler, bank>>

\* The message is deleted.
Acknowledge(w) ==
    /\ worker[w].pc = "acknowledge"
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<faults, pendings, row, events, deliveries, totals, indexed, asked, verdict,
                   queue, dead, canceler, bank>>

Crash(w) ==
    /\ GoesWrong
    /\ worker[w] # Idle
    /\ SeenAgain(w)
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<pendings, row, events, deliveries, totals, indexed, asked, verdict, canceler, bank>>

-----------------------------------------------------------------------------
(* The client that cancels: reads, then commits if the payment is unchanged, or reads again. *)

CancelRead(k, p) ==
    /\ canceler[k] = Idle
    /\ canceler' = [canceler EXCEPT ![k] = [pc |-> "commit", payment |-> p, seen |-> row[p]]]
    /\ UNCHANGED <<faults, pendings, row, events, deliveries, totals, indexed, asked, verdict,
                   queue, dead, worker, bank>>

MayCancel(seen) ==
    seen.status = "processing" /\ (~seen.submitted \/ Broken = "CancelIgnoresSubmission")

CancelCommit(k) ==
    /\ canceler[k].pc = "commit"
    /\ LET p == canceler[k].payment
           seen == canceler[k].seen
       IN  CASE ~MayCancel(seen) ->
                    /\ canceler' = [canceler EXCEPT ![k].pc = "refused"]
                    /\ UNCHANGED <<row, events, deliveries, totals>>
             [] MayCancel(seen) /\ IsAsSeen(p, seen) ->
                    /\ Written(p, seen, "canceled")
                    /\ canceler' = [canceler EXCEPT ![k].pc = "canceled"]
             [] OTHER ->    \* it changed: retry on the current payment
                    /\ canceler' = [canceler EXCEPT ![k].seen = row[p]]
                    /\ UNCHANGED <<row, events, deliveries, totals>>
    /\ UNCHANGED <<faults, pendings, indexed, asked, verdict, queue, dead, worker, bank>>

-----------------------------------------------------------------------------
(* The bank, which speaks without being asked. *)

Rest == [pc |-> "idle", says |-> bank.says, spoken |-> bank.spoken]

Speak(p, fact) ==
    /\ bank.pc = "idle"
    /\ bank.says > 0
    /\ bank' = [pc |-> "tell", payment |-> p, fact |-> fact, seen |-> row[p],
                says |-> bank.says - 1, spoken |-> bank.spoken \cup {<<p, fact>>}]
    /\ UNCHANGED <<faults, pendings, row, events, deliveries, totals, indexed, asked, verdict,
                   queue, dead, worker, canceler>>

Tell ==
    /\ bank.pc = "tell"
    /\ LET p == bank.payment
           seen == bank.seen
           fact == bank.fact
           isRefused == Broken = "RefuseWhatDoesNotFit" /\ To(seen, fact) = "contradicted"
       IN  CASE IsTold(seen, fact) \/ isRefused ->
                    /\ bank' = Rest
                    /\ UNCHANGED <<row, events, deliveries, totals>>
             [] ~IsTold(seen, fact) /\ ~isRefused /\ IsAsSeen(p, seen) ->
                    /\ Recorded(p, seen, fact)
                    /\ bank' = Rest
             [] OTHER ->
                    /\ bank' = [bank EXCEPT !.seen = row[p]]
                    /\ UNCHANGED <<row, events, deliveries, totals>>
    /\ UNCHANGED <<faults, pendings, indexed, asked, verdict, queue, dead, worker, canceler>>

-----------------------------------------------------------------------------
(* The sweeper, and the index that it reads. *)

IndexCatchesUp(p) ==
    /\ indexed[p] # (row[p].status = "processing")
    /\ indexed' = [indexed EXCEPT ![p] = ~@]
    /\ UNCHANGED <<faults, pendings, row, events, deliveries, totals, asked, verdict, queue, dead,
                   worker, canceler, bank>>

Sweep(p) ==
    /\ Broken # "NoSweeper"
    /\ indexed[p]
    /\ queue' = queue \cup {<<p, 0>>}
    /\ UNCHANGED <<faults, pendings, row, events, deliveries, totals, indexed, asked, verdict,
                   dead, worker, canceler, bank>>

Next ==
    \/ \E w \in Workers, m \in Messages : Receive(w, m)
    \/ \E w \in Workers : BecomeVisible(w)
    \/ \E m \in Messages : LoseMessage(m)
    \/ \E w \in Workers : MarkSubmitted(w)
    \/ \E w \in Workers : MarkSubmittedUnheard(w)
    \/ \E w \in Workers, outcome \in Outcomes : Ask(w, outcome)
    \/ \E w \in Workers : AskPending(w)
    \/ \E w \in Workers, outcome \in Outcomes : ProcessorFails(w, outcome)
    \/ \E w \in Workers : Commit(w)
    \/ \E w \in Workers : CommitUnheard(w)
    \/ \E w \in Workers : Acknowledge(w)
    \/ \E w \in Workers : Crash(w)
    \/ \E k \in Cancelers, p \in Payments : CancelRead(k, p)
    \/ \E k \in Cancelers : CancelCommit(k)
    \/ \E p \in Payments, fact \in Ends : Speak(p, fact)
    \/ Tell
    \/ \E p \in Payments : IndexCatchesUp(p)
    \/ \E p \in Payments : Sweep(p)

\* Every enabled step is taken eventually, and each message is received eventually.
Fairness ==
    /\ \A w \in Workers :
        WF_vars(\/ MarkSubmitted(w) \/ Commit(w) \/ Acknowledge(w)
                \/ \E outcome \in Outcomes : Ask(w, outcome))
    /\ WF_vars(Tell)
    /\ \A m \in Messages : SF_vars(\E w \in Workers : Receive(w, m))
    /\ \A p \in Payments : WF_vars(IndexCatchesUp(p)) /\ WF_vars(Sweep(p))

Symmetry == Permutations(Workers) \cup Permutations(Payments)

Spec == Init /\ [][Next]_vars /\ Fairness

-----------------------------------------------------------------------------
(* What holds in every state. *)

OneEventAChange == \A p \in Payments : row[p].version = Len(events[p])

Statuses(p) == SelectSeq(events[p], LAMBDA event : event # "contradicted")

\* Each status that it had has one event, and each fact that did not fit has one.
OneTerminalState ==
    \A p \in Payments :
        /\ Statuses(p) =
            CASE row[p].status = "processing" -> <<"created">>
              [] row[p].status = "returned" -> <<"created", "completed", "returned">>
              [] OTHER -> <<"created", row[p].status>>
        /\ Len(events[p]) = Len(Statuses(p)) + Cardinality(row[p].said)

EveryOutcomeHasItsDeliveries == \A p \in Payments : deliveries[p] = Tail(Statuses(p))

TotalsAreARecount ==
    \A s \in Final : totals[s] = Cardinality({p \in Payments : row[p].status = s})

SubmittedIsNeverCanceled == \A p \in Payments : row[p].submitted => row[p].status # "canceled"

CanceledIsNeverAskedAbout == \A p \in Payments : asked[p] => row[p].status # "canceled"

OutcomeIsTheBanks ==
    \A p \in Payments :
        /\ row[p].status \in {"completed", "returned"} =>
                verdict[p] = "completed" \/ <<p, "completed">> \in bank.spoken
        /\ row[p].status = "failed" =>
                \/ verdict[p] = "failed"
                \/ {<<p, "failed">>, <<p, "returned">>} \cap bank.spoken # {}

\* What a bank said, in any order, is in the row once it was answered.
NothingSaidIsForgotten ==
    bank.pc = "idle" => \A s \in bank.spoken : IsTold(row[s[1]], s[2])

\* A payment is canceled if a client was told so.
CancelIsTrue ==
    \A k \in Cancelers :
        canceler[k].pc = "canceled" => row[canceler[k].payment].status = "canceled"

-----------------------------------------------------------------------------
(* What no step does, and what happens eventually. *)

FinalStaysFinal ==
    [][\A p \in Payments :
        row[p].status \in Final =>
            \/ row'[p].status = row[p].status
            \/ row[p].status = "completed" /\ row'[p].status = "returned"]_vars

EveryPaymentIsSettled == \A p \in Payments : <>(row[p].status \in Final)

\* A payment whose message is dead-lettered is settled too.
DeadLettersAreSettled == \A p \in Payments : (p \in dead) ~> (row[p].status \in Final)

=============================================================================
