------------------------------- MODULE Refund -------------------------------
(***************************************************************************)
(* Refunds of one completed payment. Clients ask for them, with one key or *)
(* several. Workers begin and settle them. A bank returns the payment, and *)
(* says of refunds what it likes, as often as it likes.                    *)
(* chalicelib/payments/refunds.py, and Payments.record.                    *)
(*                                                                         *)
(* What each client asks for, and with which key, is chosen at the start,  *)
(* in every possible way. Create.tla has records that expire. A bank has   *)
(* one code: a second one is a fact that does not fit, as others are.      *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Clients,
    Keys,
    Wants,      \* amounts that may be asked for, in units; 0: all that is left
    Workers,
    Amount,     \* of the payment, in units
    Faults,     \* how many faults there may be
    Pendings,   \* how often a bank has not decided yet
    Says,       \* how often a bank speaks of refunds without being asked
    None,
    Broken      \* the rule that this run leaves out; "nothing": as the code is

VARIABLES
    faults, pendings,
    key, want,  \* of each client
    payment,
    refund,     \* each refund's row
    events,     \* of each refund, and of the payment
    records,    \* the idempotency table
    totals,
    returned,   \* the amount that the bank took back
    verdict,    \* the processor's decision on each refund, which never changes
    messages,
    client,
    worker,
    bank

vars == <<faults, pendings, key, want, payment, refund, events, records, totals, returned,
          verdict, messages, client, worker, bank>>

Outcomes == {"completed", "failed"}
Ends == {"completed", "failed", "returned"}    \* of a refund, and what a bank may say of it
Ids == Clients \X (1 .. Faults + 1)    \* a request's own refund id
There == {r \in Ids : refund[r] # None}
Of(status) == {r \in There : refund[r].status \in status}

RECURSIVE Sum(_)
Sum(refunds) ==
    IF refunds = {} THEN 0
    ELSE LET r == CHOOSE r \in refunds : TRUE
         IN  refund[r].amount + Sum(refunds \ {r})

Idle == [pc |-> "idle"]

Init ==
    /\ faults = Faults
    /\ pendings = Pendings
    /\ key \in [Clients -> Keys]
    /\ want \in [Clients -> Wants]
    /\ payment = [status |-> "completed", version |-> 2, refundable |-> Amount, refunded |-> 0,
                  processing |-> 0, late |-> {}]    \* late: had not begun when it was returned
    /\ refund = [r \in Ids |-> None]
    /\ events = {}
    /\ records = [k \in Keys |-> None]
    /\ totals = [completed |-> 1, returned |-> 0, refunds |-> [s \in Ends |-> 0]]
    /\ returned = 0
    /\ verdict = [r \in Ids |-> None]
    /\ messages = {}
    /\ client = [c \in Clients |-> [pc |-> "idle", try |-> 0]]
    /\ worker = [w \in Workers |-> Idle]
    /\ bank = [pc |-> "idle", says |-> Says, spoken |-> {}]

GoesWrong == faults > 0 /\ faults' = faults - 1

\* The condition on the payment in every transaction: same status and version as were read.
IsAsSeen(seen) ==
    Broken = "NoVersionCheck" \/ (payment.status = seen.status /\ payment.version = seen.version)

-----------------------------------------------------------------------------
(* The client's request, and its handler. *)

Id(c) == <<c, client[c].try>>

Begin(c) ==
    /\ client[c].pc = "idle"
    /\ client' = [client EXCEPT ![c] = [pc |-> "read", try |-> @.try + 1]]
    /\ UNCHANGED <<faults, pendings, key, want, payment, refund, events, records, totals,
                   returned, verdict, messages, worker, bank>>

Read(c) ==
    /\ client[c].pc = "read"
    /\ client' = [client EXCEPT ![c] = [pc |-> "commit", try |-> @.try, seen |-> payment]]
    /\ UNCHANGED <<faults, pendings, key, want, payment, refund, events, records, totals,
                   returned, verdict, messages, worker, bank>>

Wanted(c) == IF want[c] = 0 THEN client[c].seen.refundable ELSE want[c]

IsRefused(c) ==
    \/ client[c].seen.status # "completed"
    \/ Wanted(c) > client[c].seen.refundable
    \/ Wanted(c) = 0

Answered(c, kind, r) ==
    [pc |-> IF kind = "created" THEN "enqueue" ELSE "answer", try |-> client[c].try,
     says |-> [kind |-> kind, refund |-> r, of |-> Id(c)]]

\* The answer that the key's record gives.
FromRecord(c) ==
    LET r == records[key[c]].refund
    IN  IF r = Id(c) THEN Answered(c, "created", r)
        ELSE IF records[key[c]].want = want[c] THEN Answered(c, "replay", r)
        ELSE Answered(c, "reused", r)

HasRecord(c) == records[key[c]] # None /\ Broken # "NoRecordCondition"

IsLeft(c) == payment.refundable >= Wanted(c) \/ Broken = "NoVersionCheck"

\* One transaction: the record, the payment, the refund and its event.
Committed(c) ==
    LET seen == client[c].seen
        amount == Wanted(c)
    IN  /\ records' = [records EXCEPT ![key[c]] = [refund |-> Id(c), want |-> want[c]]]
        /\ payment' = [seen EXCEPT !.version = @ + 1, !.refundable = @ - amount,
                                   !.refunded = @ + amount, !.processing = @ + 1]
        /\ refund' = [refund EXCEPT ![Id(c)] = [status |-> "processing", amount |-> amount,
                                                  waiting |-> TRUE, said |-> {}]]
        /\ events' = events \cup {<<Id(c), "created">>}

AskRefused(c) ==
    /\ client[c].pc = "commit"
    /\ IsRefused(c)
    /\ client' = [client EXCEPT ![c] =
                    IF Broken = "RefusalOutranksRecord" THEN Answered(c, "refused", None)
                    ELSE [pc |-> "look", try |-> @.try]]
    /\ UNCHANGED <<faults, pendings, key, want, payment, refund, events, records, totals,
                   returned, verdict, messages, worker, bank>>

\* An earlier request with this key may be the reason for the refusal.
LookForRecord(c) ==
    /\ client[c].pc = "look"
    /\ client' = [client EXCEPT ![c] =
                    IF HasRecord(c) THEN FromRecord(c) ELSE Answered(c, "refused", None)]
    /\ UNCHANGED <<faults, pendings, key, want, payment, refund, events, records, totals,
                   returned, verdict, messages, worker, bank>>

Commit(c) ==
    /\ client[c].pc = "commit"
    /\ ~IsRefused(c)
    /\ CASE HasRecord(c) ->     \* outranks every other reason
              /\ client' = [client EXCEPT ![c] = FromRecord(c)]
              /\ UNCHANGED <<payment, refund, events, records>>
         [] ~HasRecord(c) /\ IsAsSeen(client[c].seen) /\ IsLeft(c) ->
              /\ Committed(c)
              /\ client' = [client EXCEPT ![c] = Answered(c, "created", Id(c))]
         [] OTHER ->            \* it changed: retry on the current payment
              /\ client' = [client EXCEPT ![c].seen = payment]
              /\ UNCHANGED <<payment, refund, events, records>>
    /\ UNCHANGED <<faults, pendings, key, want, totals, returned, verdict, messages, worker,
                   bank>>

\* The transaction is done, but its answer is lost: the AWS client resends it, or the client
\* asks again.
CommitUnheard(c, next) ==
    /\ GoesWrong
    /\ client[c].pc = "commit"
    /\ ~IsRefused(c) /\ ~HasRecord(c) /\ IsAsSeen(client[c].seen) /\ IsLeft(c)
    /\ Committed(c)
    /\ client' = [client EXCEPT ![c] =
                    IF next = "resend" THEN @ ELSE [pc |-> "idle", try |-> @.try]]
    /\ UNCHANGED <<pendings, key, want, totals, returned, verdict, messages, worker, bank>>

Enqueue(c) ==
    /\ client[c].pc = "enqueue"
    /\ messages' = messages \cup {Id(c)}
    /\ client' = [client EXCEPT ![c].pc = "answer"]
    /\ UNCHANGED <<faults, pendings, key, want, payment, refund, events, records, totals,
                   returned, verdict, worker, bank>>

EnqueueFails(c) ==
    /\ GoesWrong
    /\ client[c].pc = "enqueue"
    /\ client' = [client EXCEPT ![c].pc = "answer"]
    /\ UNCHANGED <<pendings, key, want, payment, refund, events, records, totals, returned,
                   verdict, messages, worker, bank>>

Respond(c) ==
    /\ client[c].pc = "answer"
    /\ client' = [client EXCEPT ![c] = [pc |-> "done", try |-> @.try]]
    /\ UNCHANGED <<faults, pendings, key, want, payment, refund, events, records, totals,
                   returned, verdict, messages, worker, bank>>

\* The handler is killed, or its answer is lost: the client asks again.
Crash(c) ==
    /\ GoesWrong
    /\ client[c].pc \notin {"idle", "done"}
    /\ client' = [client EXCEPT ![c] = [pc |-> "idle", try |-> @.try]]
    /\ UNCHANGED <<pendings, key, want, payment, refund, events, records, totals, returned,
                   verdict, messages, worker, bank>>

-----------------------------------------------------------------------------
(* The transaction: what a bank said of a refund. *)

\* Whether the bank has said so before, as far as this row knows.
IsTold(mine, fact) ==
    \/ fact \in mine.said
    \/ fact = "completed" /\ mine.status \in {"completed", "returned"}
    \/ fact = "failed" /\ mine.status = "failed"
    \/ fact = "returned" /\ mine.status \in {"failed", "returned"}

To(mine, fact) ==
    CASE mine.status = "processing" -> (IF fact = "completed" THEN "completed" ELSE "failed")
      [] mine.status = "completed" /\ fact = "returned" -> "returned"
      [] OTHER -> "contradicted"

Denies(fact) ==
    CASE fact = "completed" -> "not completed"
      [] fact = "failed" -> "not failed"
      [] fact = "returned" -> "not returned"

IsRefundAsSeen(r, mine) ==
    \/ Broken = "RefundIsNotCompared"
    \/ refund[r].status = mine.status /\ refund[r].said = mine.said

\* The payment, the refund, its event and the totals.
Recorded(r, seen, mine, fact) ==
    LET to == To(mine, fact)
        freed == IF to \in {"failed", "returned"} /\ Broken # "FailedKeepsItsAmount"
                 THEN mine.amount ELSE 0
    IN  IF to = "contradicted"
        THEN /\ payment' = [seen EXCEPT !.version = @ + 1]
             /\ refund' = [refund EXCEPT ![r] = [mine EXCEPT !.said = @ \cup {fact}]]
             /\ events' = events \cup {<<r, Denies(fact)>>}
             /\ UNCHANGED totals
        ELSE /\ payment' = [seen EXCEPT
                    !.version = @ + 1,
                    !.refunded = @ - freed,
                    !.refundable = IF seen.status = "completed" THEN @ + freed ELSE 0,
                    !.processing = IF mine.status = "processing" THEN @ - 1 ELSE @]
             /\ refund' = [refund EXCEPT ![r] =
                    [mine EXCEPT !.status = to, !.waiting = FALSE]]
             /\ events' = events \cup {<<r, to>>}
             /\ totals' = [totals EXCEPT !.refunds =
                    [s \in Ends |-> @[s] + (IF s = to THEN 1 ELSE 0)
                                         - (IF s = mine.status THEN 1 ELSE 0)]]

-----------------------------------------------------------------------------
(* The worker. *)

Receive(w, r) ==
    /\ worker[w] = Idle
    /\ r \in messages
    /\ messages' = messages \ {r}
    /\ worker' = [worker EXCEPT ![w] = [pc |-> "refund", refund |-> r]]
    /\ UNCHANGED <<faults, pendings, key, want, payment, refund, events, records, totals,
                   returned, verdict, client, bank>>

\* Where a worker goes on with a refund whose row is this.
GoesOn(r, row) ==
    CASE row.status # "processing" -> Idle
      [] row.status = "processing" /\ row.waiting -> [pc |-> "begin", refund |-> r]
      [] OTHER -> [pc |-> "payment", refund |-> r, mine |-> row]

ReadRefund(w) ==
    /\ worker[w].pc = "refund"
    /\ worker' = [worker EXCEPT ![w] = GoesOn(@.refund, refund[@.refund])]
    /\ UNCHANGED <<faults, pendings, key, want, payment, refund, events, records, totals,
                   returned, verdict, messages, client, bank>>

\* One transaction: the payment is still completed, and the refund no longer waits.
BeginRefund(w) ==
    /\ worker[w].pc = "begin"
    /\ LET r == worker[w].refund
           begun == [refund[r] EXCEPT !.waiting = FALSE]
           mayBegin == payment.status = "completed" \/ Broken = "BeginIgnoresReturn"
       IN  CASE ~refund[r].waiting ->    \* another worker was faster
                  /\ worker' = [worker EXCEPT ![w] = GoesOn(r, refund[r])]
                  /\ UNCHANGED refund
             [] refund[r].waiting /\ mayBegin ->
                  /\ refund' = [refund EXCEPT ![r] = begun]
                  /\ worker' = [worker EXCEPT ![w] = GoesOn(r, begun)]
             [] OTHER ->
                  /\ worker' = [worker EXCEPT ![w] = [pc |-> "late", refund |-> r]]
                  /\ UNCHANGED refund
    /\ UNCHANGED <<faults, pendings, key, want, payment, events, records, totals, returned,
                   verdict, messages, client, bank>>

\* The refund has begun, but the answer is lost: the message comes again.
BeginUnheard(w) ==
    /\ GoesWrong
    /\ worker[w].pc = "begin"
    /\ LET r == worker[w].refund
       IN  /\ refund[r].waiting /\ payment.status = "completed"
           /\ refund' = [refund EXCEPT ![r].waiting = FALSE]
           /\ messages' = messages \cup {r}
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<pendings, key, want, payment, events, records, totals, returned, verdict,
                   client, bank>>

\* It cannot begin any more: its payment was returned.
TooLate(w) ==
    /\ worker[w].pc = "late"
    /\ LET r == worker[w].refund
       IN  worker' = [worker EXCEPT ![w] = [pc |-> "commit", refund |-> r, mine |-> refund[r],
                                            seen |-> payment, fact |-> "failed"]]
    /\ UNCHANGED <<faults, pendings, key, want, payment, refund, events, records, totals,
                   returned, verdict, messages, client, bank>>

ReadPayment(w) ==
    /\ worker[w].pc = "payment"
    /\ worker' = [worker EXCEPT ![w] =
                    [pc |-> "ask", refund |-> @.refund, mine |-> @.mine, seen |-> payment]]
    /\ UNCHANGED <<faults, pendings, key, want, payment, refund, events, records, totals,
                   returned, verdict, messages, client, bank>>

Ask(w, outcome) ==
    LET r == worker[w].refund
    IN  /\ worker[w].pc = "ask"
        /\ verdict[r] \in {None, outcome}
        /\ verdict' = [verdict EXCEPT ![r] = outcome]
        /\ worker' = [worker EXCEPT ![w] = [pc |-> "commit", fact |-> outcome] @@ @]
        /\ UNCHANGED <<faults, pendings, key, want, payment, refund, events, records, totals,
                       returned, messages, client, bank>>

AskPending(w) ==
    /\ worker[w].pc = "ask"
    /\ pendings > 0
    /\ pendings' = pendings - 1
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<faults, key, want, payment, refund, events, records, totals, returned, verdict,
                   messages, client, bank>>

Settle(w) ==
    /\ worker[w].pc = "commit"
    /\ LET r == worker[w].refund
           seen == worker[w].seen
           mine == worker[w].mine
           fact == worker[w].fact
       IN  CASE IsTold(mine, fact) ->
                  /\ worker' = [worker EXCEPT ![w] = Idle]
                  /\ UNCHANGED <<payment, refund, events, totals>>
             [] ~IsTold(mine, fact) /\ IsAsSeen(seen) /\ IsRefundAsSeen(r, mine) ->
                  /\ Recorded(r, seen, mine, fact)
                  /\ worker' = [worker EXCEPT ![w] = Idle]
             [] OTHER ->            \* one of them changed: retry on what is stored
                  /\ worker' = [worker EXCEPT ![w].seen = payment, ![w].mine = refund[r]]
                  /\ UNCHANGED <<payment, refund, events, totals>>
    /\ UNCHANGED <<faults, pendings, key, want, records, returned, verdict, messages, client,
                   bank>>

\* The transaction is done, but its answer is lost.
SettleUnheard(w) ==
    /\ GoesWrong
    /\ worker[w].pc = "commit"
    /\ LET r == worker[w].refund
           mine == worker[w].mine
       IN  /\ ~IsTold(mine, worker[w].fact)
           /\ IsAsSeen(worker[w].seen) /\ IsRefundAsSeen(r, mine)
           /\ Recorded(r, worker[w].seen, mine, worker[w].fact)
           /\ messages' = messages \cup {r}
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<pendings, key, want, records, returned, verdict, client, bank>>

\* The refund collides with another request, so DynamoDB reports only the payment's condition:
\* the worker does not learn that the refund has changed.
SettleHalfHeard(w) ==
    /\ GoesWrong
    /\ worker[w].pc = "commit"
    /\ LET mine == worker[w].mine
       IN  /\ ~IsTold(mine, worker[w].fact)
           /\ ~IsAsSeen(worker[w].seen) /\ ~IsRefundAsSeen(worker[w].refund, mine)
    /\ worker' = [worker EXCEPT ![w].seen = payment]
    /\ UNCHANGED <<pendings, key, want, payment, refund, events, records, totals, returned,
                   verdict, messages, client, bank>>

\* Killed, or the processor raises: the message comes again.
WorkerFails(w) ==
    /\ GoesWrong
    /\ worker[w] # Idle
    /\ messages' = messages \cup {worker[w].refund}
    /\ worker' = [worker EXCEPT ![w] = Idle]
    /\ UNCHANGED <<pendings, key, want, payment, refund, events, records, totals, returned,
                   verdict, client, bank>>

\* A message that comes twice is one that is lost and sent again.
LoseMessage(r) ==
    /\ GoesWrong
    /\ r \in messages
    /\ messages' = messages \ {r}
    /\ UNCHANGED <<pendings, key, want, payment, refund, events, records, totals, returned,
                   verdict, client, worker, bank>>

Sweep(r) ==
    /\ Broken # "NoSweeper"
    /\ refund[r] # None /\ refund[r].status = "processing"
    /\ messages' = messages \cup {r}
    /\ UNCHANGED <<faults, pendings, key, want, payment, refund, events, records, totals,
                   returned, verdict, client, worker, bank>>

-----------------------------------------------------------------------------
(* The bank. *)

Rest == [pc |-> "idle", says |-> bank.says, spoken |-> bank.spoken]

ReturnRead ==
    /\ bank.pc = "idle"
    /\ <<None, "returned">> \notin bank.spoken
    /\ bank' = [pc |-> "return", seen |-> payment, says |-> bank.says,
                spoken |-> bank.spoken \cup {<<None, "returned">>}]
    /\ UNCHANGED <<faults, pendings, key, want, payment, refund, events, records, totals,
                   returned, verdict, messages, client, worker>>

ReturnCommit ==
    /\ bank.pc = "return"
    /\ LET seen == bank.seen
           waiting == {r \in There : refund[r].waiting}
       IN  IF IsAsSeen(seen)
           THEN /\ payment' = [seen EXCEPT !.status = "returned", !.version = @ + 1,
                                           !.refundable = 0, !.late = waiting]
                /\ events' = events \cup {<<None, "returned">>}
                /\ totals' = [totals EXCEPT !.completed = @ - 1, !.returned = @ + 1]
                /\ returned' = returned +
                        (IF Broken = "ReturnTakesTheRest" THEN seen.refundable ELSE Amount)
                /\ bank' = Rest
           ELSE /\ bank' = [bank EXCEPT !.seen = payment]
                /\ UNCHANGED <<payment, events, totals, returned>>
    /\ UNCHANGED <<faults, pendings, key, want, refund, records, verdict, messages, client,
                   worker>>

\* It speaks of a refund that it has seen, whatever it said before.
Speak(r, fact) ==
    /\ bank.pc = "idle"
    /\ bank.says > 0
    /\ r \in There /\ ~refund[r].waiting /\ r \notin payment.late
    /\ bank' = [pc |-> "tell", refund |-> r, fact |-> fact, seen |-> payment,
                mine |-> refund[r], says |-> bank.says - 1,
                spoken |-> bank.spoken \cup {<<r, fact>>}]
    /\ UNCHANGED <<faults, pendings, key, want, payment, refund, events, records, totals,
                   returned, verdict, messages, client, worker>>

Tell ==
    /\ bank.pc = "tell"
    /\ LET r == bank.refund
           isRefused == Broken = "RefuseWhatDoesNotFit"
                        /\ To(bank.mine, bank.fact) = "contradicted"
       IN  CASE IsTold(bank.mine, bank.fact) \/ isRefused ->
                  /\ bank' = Rest
                  /\ UNCHANGED <<payment, refund, events, totals>>
             [] ~IsTold(bank.mine, bank.fact) /\ ~isRefused /\ IsAsSeen(bank.seen)
                /\ IsRefundAsSeen(r, bank.mine) ->
                  /\ Recorded(r, bank.seen, bank.mine, bank.fact)
                  /\ bank' = Rest
             [] OTHER ->
                  /\ bank' = [bank EXCEPT !.seen = payment, !.mine = refund[r]]
                  /\ UNCHANGED <<payment, refund, events, totals>>
    /\ UNCHANGED <<faults, pendings, key, want, records, returned, verdict, messages, client,
                   worker>>

Next ==
    \/ \E c \in Clients : Begin(c)
    \/ \E c \in Clients : Read(c)
    \/ \E c \in Clients : AskRefused(c)
    \/ \E c \in Clients : LookForRecord(c)
    \/ \E c \in Clients : Commit(c)
    \/ \E c \in Clients, next \in {"resend", "retry"} : CommitUnheard(c, next)
    \/ \E c \in Clients : Enqueue(c)
    \/ \E c \in Clients : EnqueueFails(c)
    \/ \E c \in Clients : Respond(c)
    \/ \E c \in Clients : Crash(c)
    \/ \E w \in Workers, r \in Ids : Receive(w, r)
    \/ \E w \in Workers : ReadRefund(w)
    \/ \E w \in Workers : BeginRefund(w)
    \/ \E w \in Workers : BeginUnheard(w)
    \/ \E w \in Workers : TooLate(w)
    \/ \E w \in Workers : ReadPayment(w)
    \/ \E w \in Workers, outcome \in Outcomes : Ask(w, outcome)
    \/ \E w \in Workers : AskPending(w)
    \/ \E w \in Workers : Settle(w)
    \/ \E w \in Workers : SettleUnheard(w)
    \/ \E w \in Workers : SettleHalfHeard(w)
    \/ \E w \in Workers : WorkerFails(w)
    \/ \E r \in Ids : LoseMessage(r)
    \/ \E r \in Ids : Sweep(r)
    \/ ReturnRead
    \/ ReturnCommit
    \/ \E r \in Ids, fact \in Ends : Speak(r, fact)
    \/ Tell

\* Every enabled step is taken eventually, and each message is received eventually. So each
\* transaction commits eventually: the changes that outrun it come to an end.
Fairness ==
    /\ \A c \in Clients :
        WF_vars(\/ Begin(c) \/ Read(c) \/ AskRefused(c) \/ LookForRecord(c) \/ Commit(c)
                \/ Enqueue(c) \/ Respond(c))
    /\ \A w \in Workers :
        WF_vars(\/ ReadRefund(w) \/ BeginRefund(w) \/ TooLate(w) \/ ReadPayment(w) \/ Settle(w)
                \/ \E outcome \in Outcomes : Ask(w, outcome))
    /\ \A r \in Ids : SF_vars(\E w \in Workers : Receive(w, r)) /\ WF_vars(Sweep(r))

Symmetry == Permutations(Workers) \cup Permutations(Keys) \cup Permutations(Clients)

Spec == Init /\ [][Next]_vars /\ Fairness

-----------------------------------------------------------------------------
(* What holds in every state. *)

Answers == {client[c].says : c \in {d \in Clients : client[d].pc \in {"enqueue", "answer"}}}

NeverMoreThanWasPaid == Sum(Of({"processing", "completed"})) <= Amount

ReturnTakesAll == returned = IF payment.status = "returned" THEN Amount ELSE 0

\* The payment's row agrees with the refunds' rows.
RefundedIsTheSum ==
    /\ payment.refunded = Sum(Of({"processing", "completed"}))
    /\ payment.processing = Cardinality(Of({"processing"}))
    /\ payment.refundable =
        (IF payment.status = "completed" THEN Amount - payment.refunded ELSE 0)

\* The payment begins with two events: created and completed.
OneEventAChange == payment.version = 2 + Cardinality(events)

Expected(r) ==
    CASE refund[r].status = "processing" -> {"created"}
      [] refund[r].status = "returned" -> {"created", "completed", "returned"}
      [] OTHER -> {"created", refund[r].status}

OneTerminalState ==
    \A r \in There :
        {e[2] : e \in {f \in events : f[1] = r}} =
            Expected(r) \cup {Denies(fact) : fact \in refund[r].said}

OneRefundAKey ==
    \A k \in Keys : Cardinality({r \in There : key[r[1]] = k}) <= 1

\* A refund that had not begun when its payment was returned is never sent to its bank.
NoneIsSentTooLate ==
    \A w \in Workers : worker[w].pc = "ask" => worker[w].refund \notin payment.late

TotalsAreARecount ==
    totals = [completed |-> IF payment.status = "completed" THEN 1 ELSE 0,
              returned |-> IF payment.status = "returned" THEN 1 ELSE 0,
              refunds |-> [s \in Ends |-> Cardinality(Of({s}))]]

OutcomeIsTheBanks ==
    \A r \in There :
        /\ refund[r].status \in {"completed", "returned"} =>
                verdict[r] = "completed" \/ <<r, "completed">> \in bank.spoken
        /\ refund[r].status = "failed" =>
                \/ verdict[r] = "failed" \/ r \in payment.late
                \/ {<<r, "failed">>, <<r, "returned">>} \cap bank.spoken # {}

\* What a bank said, in any order, is in the row once it was answered.
NothingSaidIsForgotten ==
    bank.pc = "idle" =>
        \A s \in bank.spoken : s[1] # None => IsTold(refund[s[1]], s[2])

AnswerIsTrue ==
    \A a \in Answers :
        /\ a.kind = "created" => a.refund = a.of
        /\ a.kind = "replay" => a.refund # a.of /\ want[a.refund[1]] = want[a.of[1]]
        /\ a.kind = "reused" => want[a.refund[1]] # want[a.of[1]]
        /\ a.kind # "refused" => a.refund \in There /\ key[a.refund[1]] = key[a.of[1]]

\* A client whose refund was created is never refused, however often it asks.
RetryGetsTheFirstAnswer ==
    \A a \in Answers : a.kind = "refused" => ~\E n \in 1 .. a.of[2] : refund[<<a.of[1], n>>] # None

-----------------------------------------------------------------------------
(* What happens eventually. *)

EveryClientIsAnswered == \A c \in Clients : <>[](client[c].pc = "done")

EveryRefundIsSettled ==
    \A r \in Ids : (refund[r] # None) ~> (refund[r] # None /\ refund[r].status \in Ends)

=============================================================================
