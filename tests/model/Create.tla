------------------------------- MODULE Create -------------------------------
(***************************************************************************)
(* One idempotency key, and clients who create a payment with it: at the   *)
(* same time, again after an answer that never came, and again when the    *)
(* key's window is over. chalicelib/payments.py, Payments.create.          *)
(*                                                                         *)
(* A transaction is one step; what carries it there and back is not: it    *)
(* may be lost, sent twice, and arrive after its sender has given up.      *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Clients,
    Bodies,         \* what may be asked for; two of them are two fingerprints
    Faults,         \* how often something goes wrong, in all
    Window,         \* for so many ticks a record counts
    Horizon,        \* the clock stops here
    TokenHonoured,  \* whether the engine knows a ClientRequestToken again
    None,
    Broken          \* the rule that this run leaves out; "nothing" is the code

VARIABLES
    clock,
    faults,         \* how many are left
    body,           \* what each client asks for
    try,            \* how often each has asked
    pc,             \* where each one's request stands
    answer,         \* what its handler says, once it knows
    at,             \* when each request began: its handler's reading of the clock
    wire,           \* copies of each request's transaction on their way to DynamoDB
    row,            \* the payments table
    record,         \* the key's row in the idempotency table
    hints           \* the queue

vars == <<clock, faults, body, try, pc, answer, at, wire, row, record, hints>>

Ids == Clients \X (1 .. Faults + 1)    \* a request's own payment id
Id(c) == <<c, try[c]>>
InFlight == {"begun", "waiting", "hint", "answer"}
There == {id \in Ids : row[id] # None}

Init ==
    /\ clock = 0
    /\ faults = Faults
    /\ body \in [Clients -> Bodies]
    /\ try = [c \in Clients |-> 0]
    /\ pc = [c \in Clients |-> "idle"]
    /\ answer = [c \in Clients |-> None]
    /\ at = [id \in Ids |-> 0]
    /\ wire = [id \in Ids |-> 0]
    /\ row = [id \in Ids |-> None]
    /\ record = None
    /\ hints = {}

GoesWrong == faults > 0 /\ faults' = faults - 1

-----------------------------------------------------------------------------
(* The handler. *)

Begin(c) ==
    /\ pc[c] = "idle"
    /\ pc' = [pc EXCEPT ![c] = "begun"]
    /\ try' = [try EXCEPT ![c] = @ + 1]
    /\ at' = [at EXCEPT ![<<c, try[c] + 1>>] = clock]
    /\ UNCHANGED <<clock, faults, body, answer, wire, row, record, hints>>

Send(c) ==
    /\ pc[c] = "begun"
    /\ pc' = [pc EXCEPT ![c] = "waiting"]
    /\ wire' = [wire EXCEPT ![Id(c)] = @ + 1]
    /\ hints' = IF Broken = "HintBeforeCommit" THEN hints \cup {Id(c)} ELSE hints
    /\ UNCHANGED <<clock, faults, body, try, answer, at, row, record>>

\* Nothing comes back: the client library sends the same again, under the same token.
Resend(c) ==
    /\ pc[c] = "waiting"
    /\ wire[Id(c)] = 0
    /\ wire' = [wire EXCEPT ![Id(c)] = @ + 1]
    /\ UNCHANGED <<clock, faults, body, try, pc, answer, at, row, record, hints>>

\* It is sent again while the first copy is still on its way.
ResendEarly(c) ==
    /\ GoesWrong
    /\ pc[c] = "waiting"
    /\ wire[Id(c)] = 1
    /\ wire' = [wire EXCEPT ![Id(c)] = @ + 1]
    /\ UNCHANGED <<clock, body, try, pc, answer, at, row, record, hints>>

\* 503. What was sent may still arrive.
GiveUp(c) ==
    /\ GoesWrong
    /\ pc[c] = "waiting"
    /\ pc' = [pc EXCEPT ![c] = "idle"]
    /\ UNCHANGED <<clock, body, try, answer, at, wire, row, record, hints>>

-----------------------------------------------------------------------------
(* DynamoDB. *)

IsLive(id) ==
    CASE Broken = "NoRecordCondition" -> FALSE
      [] Broken = "IgnoreExpiry" -> record # None
      [] OTHER -> record # None /\ record.expires > at[id]

IsKnownToken(id) == TokenHonoured /\ row[id] # None

Commits(id) == ~IsKnownToken(id) /\ ~IsLive(id) /\ row[id] = None

\* One transaction: the record, the payment and its event.
Written(id) ==
    IF ~Commits(id) THEN UNCHANGED <<row, record>> ELSE
    /\ record' = [payment |-> id, body |-> body[id[1]], expires |-> at[id] + Window]
    /\ row' = IF Broken = "PaymentAfterwards" THEN row ELSE
              [row EXCEPT ![id] = [body |-> body[id[1]], created |-> at[id],
                                   committed |-> clock, events |-> 1, settled |-> FALSE]]

\* What the handler learns of it.
Said(id) ==
    LET own == [kind |-> "created", payment |-> id, of |-> id]
    IN  IF Commits(id) \/ IsKnownToken(id) THEN own
        ELSE IF record.payment = id /\ Broken # "OwnRecordIsAnothers" THEN own
        ELSE IF record.body = body[id[1]]
             THEN [kind |-> "replay", payment |-> record.payment, of |-> id]
             ELSE [kind |-> "reused", payment |-> record.payment, of |-> id]

IsAwaited(id) == pc[id[1]] = "waiting" /\ try[id[1]] = id[2]

Arrive(id) ==
    /\ wire[id] > 0
    /\ wire' = [wire EXCEPT ![id] = @ - 1]
    /\ Written(id)
    /\ IF IsAwaited(id)
       THEN /\ answer' = [answer EXCEPT ![id[1]] = Said(id)]
            /\ pc' = [pc EXCEPT ![id[1]] =
                        IF Said(id).kind = "created" THEN "hint" ELSE "answer"]
       ELSE UNCHANGED <<answer, pc>>
    /\ UNCHANGED <<clock, faults, body, try, at, hints>>

\* It is done, or refused, and nobody is told.
ArriveUnheard(id) ==
    /\ GoesWrong
    /\ wire[id] > 0
    /\ IsAwaited(id)
    /\ wire' = [wire EXCEPT ![id] = @ - 1]
    /\ Written(id)
    /\ UNCHANGED <<clock, body, try, pc, answer, at, hints>>

LoseRequest(id) ==
    /\ GoesWrong
    /\ wire[id] > 0
    /\ wire' = [wire EXCEPT ![id] = @ - 1]
    /\ UNCHANGED <<clock, body, try, pc, answer, at, row, record, hints>>

\* Time to live, as late as it likes.
DeleteRecord ==
    /\ record # None
    /\ record.expires <= clock
    /\ record' = None
    /\ UNCHANGED <<clock, faults, body, try, pc, answer, at, wire, row, hints>>

-----------------------------------------------------------------------------
(* The handler, once it knows. *)

Hint(c) ==
    /\ pc[c] = "hint"
    /\ pc' = [pc EXCEPT ![c] = "answer"]
    /\ hints' = hints \cup {Id(c)}
    /\ UNCHANGED <<clock, faults, body, try, answer, at, wire, row, record>>

HintRefused(c) ==
    /\ GoesWrong
    /\ pc[c] = "hint"
    /\ pc' = [pc EXCEPT ![c] = "answer"]
    /\ UNCHANGED <<clock, body, try, answer, at, wire, row, record, hints>>

Respond(c) ==
    /\ pc[c] = "answer"
    /\ pc' = [pc EXCEPT ![c] = "done"]
    /\ answer' = [answer EXCEPT ![c] = None]
    /\ UNCHANGED <<clock, faults, body, try, at, wire, row, record, hints>>

\* Killed at any point, or its answer lost: the client asks again.
Crash(c) ==
    /\ GoesWrong
    /\ pc[c] \in InFlight
    /\ pc' = [pc EXCEPT ![c] = "idle"]
    /\ answer' = [answer EXCEPT ![c] = None]
    /\ UNCHANGED <<clock, body, try, at, wire, row, record, hints>>

\* A client who was answered asks again all the same.
AskAgain(c) ==
    /\ GoesWrong
    /\ pc[c] = "done"
    /\ pc' = [pc EXCEPT ![c] = "idle"]
    /\ UNCHANGED <<clock, body, try, answer, at, wire, row, record, hints>>

-----------------------------------------------------------------------------
(* What comes after. Settle.tla looks into it; here it is one step. *)

Work(id) ==
    /\ id \in hints
    /\ hints' = hints \ {id}
    /\ row' = IF row[id] = None THEN row ELSE [row EXCEPT ![id].settled = TRUE]
    /\ UNCHANGED <<clock, faults, body, try, pc, answer, at, wire, record>>

LoseHint(id) ==
    /\ GoesWrong
    /\ id \in hints
    /\ hints' = hints \ {id}
    /\ UNCHANGED <<clock, body, try, pc, answer, at, wire, row, record>>

Sweep(id) ==
    /\ Broken # "NoSweeper"
    /\ row[id] # None /\ ~row[id].settled
    /\ hints' = hints \cup {id}
    /\ UNCHANGED <<clock, faults, body, try, pc, answer, at, wire, row, record>>

\* A request, and what it has sent, is over long before a window is: here, within a tick.
Tick ==
    /\ clock < Horizon
    /\ \A c \in Clients : pc[c] \in InFlight => at[Id(c)] = clock
    /\ \A id \in Ids : wire[id] > 0 => at[id] = clock
    /\ clock' = clock + 1
    /\ UNCHANGED <<faults, body, try, pc, answer, at, wire, row, record, hints>>

Next ==
    \/ \E c \in Clients : Begin(c)
    \/ \E c \in Clients : Send(c)
    \/ \E c \in Clients : Resend(c)
    \/ \E c \in Clients : ResendEarly(c)
    \/ \E c \in Clients : GiveUp(c)
    \/ \E id \in Ids : Arrive(id)
    \/ \E id \in Ids : ArriveUnheard(id)
    \/ \E id \in Ids : LoseRequest(id)
    \/ DeleteRecord
    \/ \E c \in Clients : Hint(c)
    \/ \E c \in Clients : HintRefused(c)
    \/ \E c \in Clients : Respond(c)
    \/ \E c \in Clients : Crash(c)
    \/ \E c \in Clients : AskAgain(c)
    \/ \E id \in Ids : Work(id)
    \/ \E id \in Ids : LoseHint(id)
    \/ \E id \in Ids : Sweep(id)
    \/ Tick

\* Whoever can go on does at some time. Nothing has to go wrong, and no time has to pass.
Fairness ==
    /\ \A c \in Clients : WF_vars(Begin(c) \/ Send(c) \/ Resend(c) \/ Hint(c) \/ Respond(c))
    /\ \A id \in Ids : WF_vars(Arrive(id)) /\ WF_vars(Work(id)) /\ WF_vars(Sweep(id))

\* Which client is which, and what they ask for, makes no difference to what holds.
Symmetry == Permutations(Clients) \cup Permutations(Bodies)

Spec == Init /\ [][Next]_vars /\ Fairness

-----------------------------------------------------------------------------
(* What holds in every state. *)

Answers == {answer[c] : c \in Clients} \ {None}

\* A second payment is made only when the first one's record has run out.
OnePaymentAKey ==
    \A p, q \in There : p # q =>
        \/ row[p].committed >= row[q].created + Window
        \/ row[q].committed >= row[p].created + Window

OneEventAChange == \A p \in There : row[p].events = 1

\* All of the transaction or nothing: no record tells of a payment that is not there.
RecordHasItsPayment == record # None => record.payment \in There

HintIsOfWhatIsCommitted == hints \subseteq There

AnswerIsTrue ==
    \A a \in Answers :
        /\ a.payment \in There
        /\ a.kind = "created" => a.payment = a.of
        /\ (a.kind = "reused") <=> (row[a.payment].body # body[a.of[1]])

\* Nobody is given, or refused by, the answer of a record that has run out.
RecordCountsForItsWindow ==
    \A a \in Answers : a.kind # "created" => row[a.payment].created + Window > at[a.of]

\* Whoever's own request made the payment is told so.
NobodyRepeatsHimself == \A a \in Answers : a.kind # "created" => a.payment # a.of

-----------------------------------------------------------------------------
(* What happens at last. *)

EveryClientIsAnswered == \A c \in Clients : <>[](pc[c] = "done")

EveryPaymentIsSettled ==
    \A id \in Ids : (row[id] # None) ~> (row[id] # None /\ row[id].settled)

=============================================================================
