------------------------------- MODULE Create -------------------------------
(***************************************************************************)
(* Clients create a payment with one idempotency key: at the same time,    *)
(* again after a lost answer, and again after the key's window.            *)
(* chalicelib/payments/service.py, Payments.create.                        *)
(*                                                                         *)
(* A transaction is one step. Its transport is not: a request may be lost, *)
(* sent twice, and arrive after its sender has given up.                   *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Clients,
    Bodies,         \* possible requests; two bodies have two fingerprints
    Faults,         \* how many faults there may be
    Window,         \* a record is valid for so many ticks
    Horizon,        \* the clock stops here
    TokenHonoured,  \* whether the engine recognizes a repeated ClientRequestToken
    None,
    Broken          \* the rule that this run leaves out; "nothing": as the code is

VARIABLES
    clock,
    faults,         \* how many are left
    body,           \* what each client asks for
    try,            \* how often each has asked
    pc,             \* the progress of each client's request
    answer,         \* what its handler will answer
    at,             \* the clock when each request began
    wire,           \* copies of each request's transaction on their way to DynamoDB
    row,            \* the payments table
    record,         \* the key's row in the idempotency table
    messages        \* the queue

vars == <<clock, faults, body, try, pc, answer, at, wire, row, record, messages>>

Ids == Clients \X (1 .. Faults + 1)    \* a request's own payment id
Id(c) == <<c, try[c]>>
InFlight == {"begun", "waiting", "enqueue", "answer"}
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
    /\ messages = {}

GoesWrong == faults > 0 /\ faults' = faults - 1

-----------------------------------------------------------------------------
(* The handler. *)

Begin(c) ==
    /\ pc[c] = "idle"
    /\ pc' = [pc EXCEPT ![c] = "begun"]
    /\ try' = [try EXCEPT ![c] = @ + 1]
    /\ at' = [at EXCEPT ![<<c, try[c] + 1>>] = clock]
    /\ UNCHANGED <<clock, faults, body, answer, wire, row, record, messages>>

Send(c) ==
    /\ pc[c] = "begun"
    /\ pc' = [pc EXCEPT ![c] = "waiting"]
    /\ wire' = [wire EXCEPT ![Id(c)] = @ + 1]
    /\ messages' = IF Broken = "EnqueueBeforeCommit" THEN messages \cup {Id(c)} ELSE messages
    /\ UNCHANGED <<clock, faults, body, try, answer, at, row, record>>

\* No answer comes: the AWS client resends the same request with the same token.
Resend(c) ==
    /\ pc[c] = "waiting"
    /\ wire[Id(c)] = 0
    /\ wire' = [wire EXCEPT ![Id(c)] = @ + 1]
    /\ UNCHANGED <<clock, faults, body, try, pc, answer, at, row, record, messages>>

\* The AWS client resends while the first copy is still on its way.
ResendEarly(c) ==
    /\ GoesWrong
    /\ pc[c] = "waiting"
    /\ wire[Id(c)] = 1
    /\ wire' = [wire EXCEPT ![Id(c)] = @ + 1]
    /\ UNCHANGED <<clock, body, try, pc, answer, at, row, record, messages>>

\* 503. What was sent may still arrive.
GiveUp(c) ==
    /\ GoesWrong
    /\ pc[c] = "waiting"
    /\ pc' = [pc EXCEPT ![c] = "idle"]
    /\ UNCHANGED <<clock, body, try, answer, at, wire, row, record, messages>>

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

\* The answer to the handler.
AnswerTo(id) ==
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
       THEN /\ answer' = [answer EXCEPT ![id[1]] = AnswerTo(id)]
            /\ pc' = [pc EXCEPT ![id[1]] =
                        IF AnswerTo(id).kind = "created" THEN "enqueue" ELSE "answer"]
       ELSE UNCHANGED <<answer, pc>>
    /\ UNCHANGED <<clock, faults, body, try, at, messages>>

\* The transaction is done or refused, and its answer is lost.
ArriveUnheard(id) ==
    /\ GoesWrong
    /\ wire[id] > 0
    /\ IsAwaited(id)
    /\ wire' = [wire EXCEPT ![id] = @ - 1]
    /\ Written(id)
    /\ UNCHANGED <<clock, body, try, pc, answer, at, messages>>

LoseRequest(id) ==
    /\ GoesWrong
    /\ wire[id] > 0
    /\ wire' = [wire EXCEPT ![id] = @ - 1]
    /\ UNCHANGED <<clock, body, try, pc, answer, at, row, record, messages>>

\* DynamoDB's time to live, which may be late.
DeleteRecord ==
    /\ record # None
    /\ record.expires <= clock
    /\ record' = None
    /\ UNCHANGED <<clock, faults, body, try, pc, answer, at, wire, row, messages>>

-----------------------------------------------------------------------------
(* The handler, after the answer. *)

Enqueue(c) ==
    /\ pc[c] = "enqueue"
    /\ pc' = [pc EXCEPT ![c] = "answer"]
    /\ messages' = messages \cup {Id(c)}
    /\ UNCHANGED <<clock, faults, body, try, answer, at, wire, row, record>>

EnqueueFails(c) ==
    /\ GoesWrong
    /\ pc[c] = "enqueue"
    /\ pc' = [pc EXCEPT ![c] = "answer"]
    /\ UNCHANGED <<clock, body, try, answer, at, wire, row, record, messages>>

Respond(c) ==
    /\ pc[c] = "answer"
    /\ pc' = [pc EXCEPT ![c] = "done"]
    /\ answer' = [answer EXCEPT ![c] = None]
    /\ UNCHANGED <<clock, faults, body, try, at, wire, row, record, messages>>

\* The handler is killed, or its answer is lost: the client asks again.
Crash(c) ==
    /\ GoesWrong
    /\ pc[c] \in InFlight
    /\ pc' = [pc EXCEPT ![c] = "idle"]
    /\ answer' = [answer EXCEPT ![c] = None]
    /\ UNCHANGED <<clock, body, try, at, wire, row, record, messages>>

\* A client that was answered asks again.
AskAgain(c) ==
    /\ GoesWrong
    /\ pc[c] = "done"
    /\ pc' = [pc EXCEPT ![c] = "idle"]
    /\ UNCHANGED <<clock, body, try, answer, at, wire, row, record, messages>>

-----------------------------------------------------------------------------
(* The rest is one step here; Settle.tla has its details. *)

Work(id) ==
    /\ id \in messages
    /\ messages' = messages \ {id}
    /\ row' = IF row[id] = None THEN row ELSE [row EXCEPT ![id].settled = TRUE]
    /\ UNCHANGED <<clock, faults, body, try, pc, answer, at, wire, record>>

LoseMessage(id) ==
    /\ GoesWrong
    /\ id \in messages
    /\ messages' = messages \ {id}
    /\ UNCHANGED <<clock, body, try, pc, answer, at, wire, row, record>>

Sweep(id) ==
    /\ Broken # "NoSweeper"
    /\ row[id] # None /\ ~row[id].settled
    /\ messages' = messages \cup {id}
    /\ UNCHANGED <<clock, faults, body, try, pc, answer, at, wire, row, record>>

\* A request and everything it sent ends long before a window does: here, within one tick.
Tick ==
    /\ clock < Horizon
    /\ \A c \in Clients : pc[c] \in InFlight => at[Id(c)] = clock
    /\ \A id \in Ids : wire[id] > 0 => at[id] = clock
    /\ clock' = clock + 1
    /\ UNCHANGED <<faults, body, try, pc, answer, at, wire, row, record, messages>>

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
    \/ \E c \in Clients : Enqueue(c)
    \/ \E c \in Clients : EnqueueFails(c)
    \/ \E c \in Clients : Respond(c)
    \/ \E c \in Clients : Crash(c)
    \/ \E c \in Clients : AskAgain(c)
    \/ \E id \in Ids : Work(id)
    \/ \E id \in Ids : LoseMessage(id)
    \/ \E id \in Ids : Sweep(id)
    \/ Tick

\* Every enabled step is taken eventually, except faults and time.
Fairness ==
    /\ \A c \in Clients : WF_vars(Begin(c) \/ Send(c) \/ Resend(c) \/ Enqueue(c) \/ Respond(c))
    /\ \A id \in Ids : WF_vars(Arrive(id)) /\ WF_vars(Work(id)) /\ WF_vars(Sweep(id))

\* Renaming clients or bodies changes no property.
Symmetry == Permutations(Clients) \cup Permutations(Bodies)

Spec == Init /\ [][Next]_vars /\ Fairness

-----------------------------------------------------------------------------
(* What holds in every state. *)

Answers == {answer[c] : c \in Clients} \ {None}

\* A second payment is created only after the first one's record has expired.
OnePaymentAKey ==
    \A p, q \in There : p # q =>
        \/ row[p].committed >= row[q].created + Window
        \/ row[q].committed >= row[p].created + Window

OneEventAChange == \A p \in There : row[p].events = 1

\* All of the transaction or nothing: each record's payment exists.
RecordHasItsPayment == record # None => record.payment \in There

MessagesNameCommittedPayments == messages \subseteq There

AnswerIsTrue ==
    \A a \in Answers :
        /\ a.payment \in There
        /\ a.kind = "created" => a.payment = a.of
        /\ (a.kind = "reused") <=> (row[a.payment].body # body[a.of[1]])

\* An expired record answers no request, and refuses none.
RecordCountsForItsWindow ==
    \A a \in Answers : a.kind # "created" => row[a.payment].created + Window > at[a.of]

\* The client whose request created the payment is told so.
OwnRequestIsNoReplay == \A a \in Answers : a.kind # "created" => a.payment # a.of

-----------------------------------------------------------------------------
(* What happens eventually. *)

EveryClientIsAnswered == \A c \in Clients : <>[](pc[c] = "done")

EveryPaymentIsSettled ==
    \A id \in Ids : (row[id] # None) ~> (row[id] # None /\ row[id].settled)

=============================================================================
