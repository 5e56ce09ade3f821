import { useQueryClient } from "@tanstack/react-query";
import { Ban, Undo2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import { api, type Payment, unwrap } from "../../api/client";
import { Button } from "../../components/button";
import { Dialog } from "../../components/dialog";
import { ErrorAlert } from "../../components/error-alert";
import { Field } from "../../components/field";
import { useAction } from "../../hooks/use-action";
import { formatMoney } from "../../lib/money";
import { useIdempotentForm } from "./idempotent-form";
import { invalidatePayment, paymentQuery } from "./queries";
import {
  type RefundFormValues,
  refundableAmount,
  refundFieldErrors,
  toRefundRequest,
} from "./refund-form";

/** What can be done about a payment, as it stands. */
export function Actions({ payment }: { payment: Payment }) {
  const [dialog, open] = useState<ReactNode>();
  const close = () => open(undefined);
  return (
    <>
      {payment.status === "processing" && (
        <Button
          variant="danger"
          onClick={() => open(<CancelDialog payment={payment} close={close} />)}
        >
          <Ban className="size-4" aria-hidden="true" />
          Cancel
        </Button>
      )}
      {refundableAmount(payment) > 0 && (
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
  const cancel = useAction(
    () =>
      unwrap(
        api.POST("/v1/payments/{payment_id}/cancel", {
          params: { path: { payment_id: payment.id } },
        }),
      ),
    paymentQuery(payment.id).queryKey,
    close,
  );
  return (
    <Dialog title="Cancel this payment?" close={close} busy={cancel.isPending}>
      <form onSubmit={cancel.submit(undefined)} className="space-y-4">
        <p className="text-sm">
          {formatMoney(payment.amount, payment.currency)} to {payment.merchant} will not be moved. A
          payment that a bank has already been asked for can no longer be canceled.
        </p>
        {cancel.error && <ErrorAlert error={cancel.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={close} disabled={cancel.isPending}>
            {cancel.error ? "Close" : "Keep it"}
          </Button>
          {!cancel.error && (
            <Button type="submit" variant="danger" disabled={cancel.isPending}>
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
  const left = refundableAmount(payment);
  const { form, wish, found, error, code, isPending, change, submit } = useIdempotentForm({
    empty: { amount: left.toFixed(2), reason: "" },
    fieldErrors: (wanted: RefundFormValues) => refundFieldErrors(wanted, left),
    send: (wanted, key) =>
      unwrap(
        api.POST("/v1/payments/{payment_id}/refunds", {
          params: { path: { payment_id: payment.id } },
          body: toRefundRequest(wanted, key),
        }),
      ).finally(() => invalidatePayment(client, payment.id)),
    done: close,
  });
  return (
    <Dialog title="Refund this payment" close={close} busy={isPending}>
      <form ref={form} onSubmit={submit} noValidate className="space-y-4">
        <p className="text-sm">
          Of {formatMoney(payment.amount, payment.currency)},{" "}
          <strong>{formatMoney(left, payment.currency)}</strong> can be refunded. It goes back to
          whoever paid, and cannot be stopped.
        </p>
        <Field label={`Amount in ${payment.currency}`} error={found.amount}>
          {(inputProps) => (
            <input
              {...inputProps}
              required
              inputMode="decimal"
              autoComplete="off"
              value={wish.amount}
              onChange={(event) => change({ amount: event.target.value })}
            />
          )}
        </Field>
        <Field label="Reason" hint="Optional; for your own records." error={found.reason}>
          {(inputProps) => (
            <input
              {...inputProps}
              autoComplete="off"
              value={wish.reason}
              onChange={(event) => change({ reason: event.target.value })}
            />
          )}
        </Field>
        {error && <ErrorAlert error={error} />}
        {code === "unreachable" && (
          <p className="text-xs text-muted">
            The refund may have been made all the same. Sending it again is safe: it makes no second
            one.
          </p>
        )}
        <div className="flex justify-end gap-2">
          <Button onClick={close} disabled={isPending}>
            Keep it
          </Button>
          <Button type="submit" variant="primary" disabled={isPending}>
            {isPending ? "Asking for it…" : "Refund it"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
