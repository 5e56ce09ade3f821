------------------------------- MODULE Settle -------------------------------
(***************************************************************************)
(* Payments that are committed, and how they end: workers who claim, ask   *)
(* the processor and commit; clients who cancel; the queue; the sweeper,   *)
(* who reads an index that lags. chalicelib/payments.py, Payments.settle   *)
(* and Payments.cancel.                                                    *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
    Payments,
    Workers,
    Cancelers,  \* each asks once
    Faults,     \* how often something goes wrong, in all
    Pendings,   \* how often a bank has not decided yet
    None,
    Broken      \* the rule that this run leaves out; "nothing" is the code

VARIABLES
    faults, pendings,
    row,        \* the payments table
    story,      \* the events of each payment
    told,       \* the events of which deliveries were written
    totals,
    indexed,    \* whether the index has the payment as processing
    asked,      \* whether the processor was ever asked about it
    verdict,    \* what the processor has decided: it does so once
    queue,      \* messages that can be received: a payment, and how often it was before
    dead,       \* the dead letter queue
    worker,
    canceler

vars == <<faults, pendings, row, story, told, totals, indexed, asked, verdict, queue, dead,
          worker, canceler>>

Outcomes == {"completed", "failed"}
Final == Outcomes \cup {"canceled"}
MaxReceives == 3
Messages == Payments \X (0 .. MaxReceives - 1)
GivenBack == 0    \* a worker's message that others can receive by now

Idle == [pc |-> "idle"]

Init ==
    /\ faults = Faults
    /\ pendings = Pendings
    /\ row = [p \in Payments |-> [status |-> "processing", submitted |-> FALSE, version |-> 1]]
    /\ story = [p \in Payments |-> <<"created">>]
    /\ told = [p \in Payments |-> <<>>]
    /\ totals = [s \in Final |-> 0]
    /\ indexed = [p \in Payments |-> FALSE]
    /\ asked = [p \in Payments |-> FALSE]
    /\ verdict = [p \in Payments |-> None]
    /\ queue \in SUBSET {<<p, 0>> : p \in Payments}    \* a hint may be lost from the beginning
    /\ dead = {}
    /\ worker = [w \in Workers |-> Idle]
    /\ canceler = [k \in Cancelers |-> Idle]

GoesWrong == faults > 0 /\ faults' = faults - 1

-----------------------------------------------------------------------------
(* The one transaction: from what was seen, to a final status. *)

IsAsSeen(p, seen) ==
    CASE Broken = "NoVersionCheck" -> TRUE
      [] Broken = "CancelIgnoresClaim" ->
            row[p].status = seen.status /\ row[p].version = seen.version
      [] OTHER -> row[p] = seen

Written(p, seen, to) ==
    /\ row' = [row EXCEPT ![p].status = to, ![p].version = seen.version + 1]
    /\ story' = [story EXCEPT ![p] = Append(@, to)]
    /\ told' = IF Broken = "ToldAfterwards" THEN told ELSE [told EXCEPT ![p] = Append(@, to)]
    /\ totals' = IF Broken = "CountedAfterwards" THEN totals ELSE [totals EXCEPT ![to] = @ + 1]

-----------------------------------------------------------------------------
(* The queue. *)

\* A message that is not done is seen again, or is dead after so many receives.
SeenAgain(w) ==
    LET p == worker[w].payment
        receives == worker[w].receives
    IN  CASE receives = GivenBack -> UNCHANGED <<queue, dead>>
          [] receives = MaxReceives -> dead' = dead \cup {p} /\ UNCHANGED queue
          [] OTHER -> queue' = queue \cup {<<p, receives>>} /\ UNCHANGED dead

Receive(w, m) ==
    /\ worker[w] = Idle
    /\ m \in queue
    /\ queue' = queue \ {m}
    /\ worker' = [worker EXCEPT ![w] =
                    [pc |-> "claim", payment |-> m[1], receives |-> m[2] + 1]]
    /\ UNCHANGED <<faults, pendings, row, story, told, totals, indexed, asked, verdict, dead,
                   canceler>>

\* Its time is over while the worker is still busy: somebody else gets it too.
BecomeVisible(w) ==
    /\ GoesWrong
    /\ worker[w] # Idle
    /\ worker[w].receives # GivenBack
    /\ SeenAgain(w)
    /\ worker' = [worker EXCEPT ![w].receives = GivenBack]
    /\ UNCHANGED <<pendings, row, story, told, totals, indexed, asked, verdict, canceler>>

LoseMessage(m) ==
    /\ GoesWrong
    /\ m \in queue
    /\ queue' = queue \ {m}
    /\ UNCHANGED <<pendings, row, story, told, totals, indexed, asked, verdict, dead, worker,
                   canceler>>

-----------------------------------------------------------------------------
(* The worker. *)

Claim(w) ==
    /\ worker[w].pc = "claim"
    /\ LET p == worker[w].payment
           claimed == [row[p] EXCEPT !.submitted = (Broken # "NoClaim") \/ @]
       IN  IF row[p].status = "processing"
           THEN /\ row' = [row EXCEPT ![p] = claimed]
                /\ worker' = [worker EXCEPT ![w] =
                                [pc |-> "ask", payment |-> p, receives |-> @.receives,
                                 seen |-> claimed]]
           ELSE /\ worker' = [worker EXCEPT ![w].pc = "acknowledge"]
                /\ UNCHANGED row
    /\ UNCHANGED <<faults, pendings, story, told, totals, indexed, asked, verdict, queue, dead,
                   canceler>>

\* It is claimed, and the worker does not learn it: 503, and the message comes again.
ClaimUnheard(w) ==
    /\ GoesWrong
    /\ worker[w].pc = "claim"
    /\ LET p == worker[w].payment
       IN  row' = IF row[p].status = "processing"
                  THEN [row EXCEPT ![p].submitted = TRUE] ELSE row
    /\ SeenAgain(w)
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<pendings, story, told, totals, indexed, asked, verdict, canceler>>

Ask(w, outcome) ==
    LET p == worker[w].payment
    IN  /\ worker[w].pc = "ask"
        /\ verdict[p] \in {None, outcome}
        /\ verdict' = [verdict EXCEPT ![p] = outcome]
        /\ asked' = [asked EXCEPT ![p] = TRUE]
        /\ worker' = [worker EXCEPT ![w] = [pc |-> "commit", outcome |-> outcome] @@ @]
        /\ UNCHANGED <<faults, pendings, row, story, told, totals, indexed, queue, dead, canceler>>

AskPending(w) ==
    /\ worker[w].pc = "ask"
    /\ pendings > 0
    /\ pendings' = pendings - 1
    /\ asked' = [asked EXCEPT ![worker[w].payment] = TRUE]
    /\ worker' = [worker EXCEPT ![w].pc = "acknowledge"]
    /\ UNCHANGED <<faults, row, story, told, totals, indexed, verdict, queue, dead, canceler>>

\* The processor cannot tell; it may have decided all the same.
AskInVain(w, outcome) ==
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
        /\ UNCHANGED <<pendings, row, story, told, totals, indexed, canceler>>

Commit(w) ==
    /\ worker[w].pc = "commit"
    /\ LET p == worker[w].payment
           seen == worker[w].seen
       IN  CASE IsAsSeen(p, seen) ->
                    /\ Written(p, seen, worker[w].outcome)
                    /\ worker' = [worker EXCEPT ![w].pc = "acknowledge"]
                    /\ UNCHANGED <<queue, dead>>
             [] ~IsAsSeen(p, seen) /\ row[p].status = "processing" ->
                    /\ SeenAgain(w)
                    /\ worker' = [worker EXCEPT ![w] = Idle]
                    /\ UNCHANGED <<row, story, told, totals>>
             [] OTHER ->    \* another worker was faster
                    /\ worker' = [worker EXCEPT ![w].pc = "acknowledge"]
                    /\ UNCHANGED <<row, story, told, totals, queue, dead>>
    /\ UNCHANGED <<faults, pendings, indexed, asked, verdict, canceler>>

\* It is done, and the worker does not learn it.
CommitUnheard(w) ==
    /\ GoesWrong
    /\ worker[w].pc = "commit"
    /\ IsAsSeen(worker[w].payment, worker[w].seen)
    /\ Written(worker[w].payment, worker[w].seen, worker[w].outcome)
    /\ SeenAgain(w)
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<pendings, indexed, asked, verdict, canceler>>

\* The message is deleted; what the worker still had to do of the old way is done with it.
Acknowledge(w) ==
    /\ worker[w].pc = "acknowledge"
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<faults, pendings, row, story, told, totals, indexed, asked, verdict, queue,
                   dead, canceler>>

Crash(w) ==
    /\ GoesWrong
    /\ worker[w] # Idle
    /\ SeenAgain(w)
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<pendings, row, story, told, totals, indexed, asked, verdict, canceler>>

-----------------------------------------------------------------------------
(* The client who cancels: reads, then commits on what was read, or reads anew. *)

CancelRead(k, p) ==
    /\ canceler[k] = Idle
    /\ canceler' = [canceler EXCEPT ![k] = [pc |-> "commit", payment |-> p, seen |-> row[p]]]
    /\ UNCHANGED <<faults, pendings, row, story, told, totals, indexed, asked, verdict, queue,
                   dead, worker>>

MayCancel(seen) ==
    seen.status = "processing" /\ (~seen.submitted \/ Broken = "CancelIgnoresClaim")

CancelCommit(k) ==
    /\ canceler[k].pc = "commit"
    /\ LET p == canceler[k].payment
           seen == canceler[k].seen
       IN  CASE ~MayCancel(seen) ->
                    /\ canceler' = [canceler EXCEPT ![k].pc = "refused"]
                    /\ UNCHANGED <<row, story, told, totals>>
             [] MayCancel(seen) /\ IsAsSeen(p, seen) ->
                    /\ Written(p, seen, "canceled")
                    /\ canceler' = [canceler EXCEPT ![k].pc = "canceled"]
             [] OTHER ->    \* it has moved: again, from where it stands
                    /\ canceler' = [canceler EXCEPT ![k].seen = row[p]]
                    /\ UNCHANGED <<row, story, told, totals>>
    /\ UNCHANGED <<faults, pendings, indexed, asked, verdict, queue, dead, worker>>

-----------------------------------------------------------------------------
(* The sweeper, and the index that it reads. *)

IndexCatchesUp(p) ==
    /\ indexed[p] # (row[p].status = "processing")
    /\ indexed' = [indexed EXCEPT ![p] = ~@]
    /\ UNCHANGED <<faults, pendings, row, story, told, totals, asked, verdict, queue, dead,
                   worker, canceler>>

Sweep(p) ==
    /\ Broken # "NoSweeper"
    /\ indexed[p]
    /\ queue' = queue \cup {<<p, 0>>}
    /\ UNCHANGED <<faults, pendings, row, story, told, totals, indexed, asked, verdict, dead,
                   worker, canceler>>

Next ==
    \/ \E w \in Workers, m \in Messages : Receive(w, m)
    \/ \E w \in Workers : BecomeVisible(w)
    \/ \E m \in Messages : LoseMessage(m)
    \/ \E w \in Workers : Claim(w)
    \/ \E w \in Workers : ClaimUnheard(w)
    \/ \E w \in Workers, outcome \in Outcomes : Ask(w, outcome)
    \/ \E w \in Workers : AskPending(w)
    \/ \E w \in Workers, outcome \in Outcomes : AskInVain(w, outcome)
    \/ \E w \in Workers : Commit(w)
    \/ \E w \in Workers : CommitUnheard(w)
    \/ \E w \in Workers : Acknowledge(w)
    \/ \E w \in Workers : Crash(w)
    \/ \E k \in Cancelers, p \in Payments : CancelRead(k, p)
    \/ \E k \in Cancelers : CancelCommit(k)
    \/ \E p \in Payments : IndexCatchesUp(p)
    \/ \E p \in Payments : Sweep(p)

\* Whoever can go on does at some time; a queue gives each message out at some time.
Fairness ==
    /\ \A w \in Workers :
        WF_vars(\/ Claim(w) \/ Commit(w) \/ Acknowledge(w)
                \/ \E outcome \in Outcomes : Ask(w, outcome))
    /\ \A m \in Messages : SF_vars(\E w \in Workers : Receive(w, m))
    /\ \A p \in Payments : WF_vars(IndexCatchesUp(p)) /\ WF_vars(Sweep(p))

Symmetry == Permutations(Workers) \cup Permutations(Payments)

Spec == Init /\ [][Next]_vars /\ Fairness

-----------------------------------------------------------------------------
(* What holds in every state. *)

OneEventAChange == \A p \in Payments : row[p].version = Len(story[p])

OneTerminalState ==
    \A p \in Payments :
        story[p] = IF row[p].status = "processing" THEN <<"created">>
                   ELSE <<"created", row[p].status>>

EveryOutcomeHasItsDeliveries == \A p \in Payments : told[p] = Tail(story[p])

TotalsAreARecount ==
    \A s \in Final : totals[s] = Cardinality({p \in Payments : row[p].status = s})

ClaimedIsNeverCanceled == \A p \in Payments : row[p].submitted => row[p].status # "canceled"

CanceledIsNeverAskedAbout == \A p \in Payments : asked[p] => row[p].status # "canceled"

OutcomeIsTheProcessors ==
    \A p \in Payments : row[p].status \in Outcomes => verdict[p] = row[p].status

\* Whoever was told that it is canceled was told the truth.
CancelIsTrue ==
    \A k \in Cancelers :
        canceler[k].pc = "canceled" => row[canceler[k].payment].status = "canceled"

-----------------------------------------------------------------------------
(* What no step does, and what happens at last. *)

FinalStaysFinal ==
    [][\A p \in Payments : row[p].status \in Final => row'[p].status = row[p].status]_vars

EveryPaymentIsSettled == \A p \in Payments : <>(row[p].status \in Final)

\* What ended in the dead letter queue is settled too.
TheDeadAreSettled == \A p \in Payments : (p \in dead) ~> (row[p].status \in Final)

=============================================================================
