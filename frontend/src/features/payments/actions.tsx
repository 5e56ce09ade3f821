import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Ban, Undo2 } from "lucide-react";
import { type FormEvent, type ReactNode, useRef, useState } from "react";
import { answer, api, type Payment } from "../../api/client";
import { Problem } from "../../api/problem";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { Field } from "../../ui/field";
import { money } from "../../ui/money";
import { ProblemNote } from "../../ui/problem-note";
import { forgetPayment } from "./queries";
import { leftOf, type RefundWish, refundFaults, refundOf } from "./refund";

/** What can be done about a payment, as it stands. */
export function Actions({ payment }: { payment: Payment }) {
  const [dialog, open] = useState<ReactNode>();
  const close = () => open(undefined);
  return (
    <>
      {payment.status === "processing" && (
        <Button
          look="danger"
          onClick={() => open(<CancelDialog payment={payment} close={close} />)}
        >
          <Ban className="size-4" aria-hidden="true" />
          Cancel
        </Button>
      )}
      {leftOf(payment) > 0 && (
        <Button onClick={() => open(<RefundDialog payment={payment} close={close} />)}>
          <Undo2 className="size-4" aria-hidden="true" />
          Refund
        </Button>
      )}
      {dialog}
    </>
  );
}

function CancelDialog({ payment, close }: { payment: Payment; close: () => void }) {
  const client = useQueryClient();
  const mutationKey = ["cancel", payment.id];
  const cancel = useMutation({
    mutationKey,
    mutationFn: () =>
      answer(
        api.POST("/v1/payments/{payment_id}/cancel", {
          params: { path: { payment_id: payment.id } },
        }),
      ),
    onSuccess: close,
    onSettled: () => forgetPayment(client, payment.id),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (client.isMutating({ mutationKey }) === 0) cancel.mutate();
  };
  return (
    <Dialog title="Cancel this payment?" close={close} busy={cancel.isPending}>
      <form onSubmit={submit} className="space-y-4">
        <p className="text-sm">
          {money(payment.amount, payment.currency)} to {payment.merchant} will not be moved. A
          payment that a bank has already been asked for can no longer be canceled.
        </p>
        {cancel.error && <ProblemNote error={cancel.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={close} disabled={cancel.isPending}>
            {cancel.error ? "Close" : "Keep it"}
          </Button>
          {!cancel.error && (
            <Button type="submit" look="danger" disabled={cancel.isPending}>
              Cancel the payment
            </Button>
          )}
        </div>
      </form>
    </Dialog>
  );
}

function RefundDialog({ payment, close }: { payment: Payment; close: () => void }) {
  const client = useQueryClient();
  const left = leftOf(payment);
  const [wish, setWish] = useState<RefundWish>({ amount: left.toFixed(2), reason: "" });
  const [isTried, setTried] = useState(false);
  // One key a dialog: however often it is sent, it makes one refund.
  const [key] = useState(() => crypto.randomUUID());
  const form = useRef<HTMLFormElement>(null);
  const refund = useMutation({
    mutationKey: [key],
    mutationFn: () =>
      answer(
        api.POST("/v1/payments/{payment_id}/refunds", {
          params: { path: { payment_id: payment.id } },
          body: refundOf(wish, key),
        }),
      ),
    onSuccess: close,
    onSettled: () => forgetPayment(client, payment.id),
  });
  const refusal = refund.error instanceof Problem ? refund.error : undefined;
  const told = Object.fromEntries(refusal?.fields.map((one) => [one.field, one.message]) ?? []);
  const found = { ...told, ...(isTried ? refundFaults(wish, left) : {}) };
  const change = (part: Partial<RefundWish>) => {
    setWish({ ...wish, ...part });
    if (!refund.isPending) refund.reset();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (Object.keys(refundFaults(wish, left)).length > 0) {
      requestAnimationFrame(() =>
        form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus(),
      );
      return;
    }
    if (client.isMutating({ mutationKey: [key] }) === 0) refund.mutate();
  };
  return (
    <Dialog title="Refund this payment" close={close} busy={refund.isPending}>
      <form ref={form} onSubmit={submit} noValidate className="space-y-4">
        <p className="text-sm">
          Of {money(payment.amount, payment.currency)},{" "}
          <strong>{money(left, payment.currency)}</strong> can be refunded. It goes back to whoever
          paid, and cannot be stopped.
        </p>
        <Field label={`Amount in ${payment.currency}`} error={found.amount}>
          {(wiring) => (
            <input
              {...wiring}
              required
              inputMode="decimal"
              autoComplete="off"
              value={wish.amount}
              onChange={(event) => change({ amount: event.target.value })}
            />
          )}
        </Field>
        <Field label="Reason" hint="Optional; for your own records." error={found.reason}>
          {(wiring) => (
            <input
              {...wiring}
              autoComplete="off"
              value={wish.reason}
              onChange={(event) => change({ reason: event.target.value })}
            />
          )}
        </Field>
        {refund.error && !refusal?.fields.length && <ProblemNote error={refund.error} />}
        {refusal?.code === "unreachable" && (
          <p className="text-xs text-muted">
            The refund may have been made all the same. Sending it again is safe: it makes no second
            one.
          </p>
        )}
        <div className="flex justify-end gap-2">
          <Button onClick={close} disabled={refund.isPending}>
            Keep it
          </Button>
          <Button type="submit" look="primary" disabled={refund.isPending}>
            {refund.isPending ? "Asking for it…" : "Refund it"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
