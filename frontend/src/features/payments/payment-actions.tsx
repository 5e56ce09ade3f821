import { useQueryClient } from "@tanstack/react-query";
import { Ban, Undo2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import type { Payment } from "../../api/client";
import { Button } from "../../components/button";
import { Field } from "../../components/field";
import { FormDialog } from "../../components/form-dialog";
import { useAction } from "../../hooks/use-action";
import { formatMoney } from "../../lib/money";
import { useIdempotentForm } from "./idempotent-form";
import { cancelPayment, createRefund, paymentQuery } from "./queries";
import {
  type RefundFormValues,
  refundableAmount,
  refundFieldErrors,
  toRefundRequest,
} from "./refund-form";

/** Buttons for the actions that the status of a payment allows. */
export function PaymentActions({ payment }: { payment: Payment }) {
  const [dialog, setDialog] = useState<ReactNode>();
  const closeDialog = () => setDialog(undefined);
  return (
    <>
      {payment.status === "processing" && (
        <Button
          variant="danger"
          onClick={() => setDialog(<CancelDialog payment={payment} onClose={closeDialog} />)}
        >
          <Ban className="size-4" aria-hidden="true" />
          Cancel
        </Button>
      )}
      {refundableAmount(payment) > 0 && (
        <Button onClick={() => setDialog(<RefundDialog payment={payment} onClose={closeDialog} />)}>
          <Undo2 className="size-4" aria-hidden="true" />
          Refund
        </Button>
      )}
      {dialog}
    </>
  );
}

function CancelDialog({ payment, onClose }: { payment: Payment; onClose: () => void }) {
  const cancel = useAction(
    () => cancelPayment(payment.id),
    paymentQuery(payment.id).queryKey,
    onClose,
  );
  return (
    <FormDialog
      title="Cancel payment?"
      onClose={onClose}
      onSubmit={cancel.submit(undefined)}
      isPending={cancel.isPending}
      error={cancel.error}
      submitLabel={cancel.error ? undefined : "Cancel payment"}
      cancelLabel={cancel.error ? "Close" : "Keep payment"}
      danger
    >
      <p className="text-sm">
        {formatMoney(payment.amount, payment.currency)} will not be{" "}
        {payment.direction === "credit" ? "paid out by" : "paid to"} {payment.merchant}. You can't
        cancel a payment that has already been sent to the bank.
      </p>
    </FormDialog>
  );
}

function RefundDialog({ payment, onClose }: { payment: Payment; onClose: () => void }) {
  const client = useQueryClient();
  const refundable = refundableAmount(payment);
  const form = useIdempotentForm({
    name: `refund-of-${payment.id}`,
    initialValues: { amount: refundable.toFixed(2), reason: "" },
    validate: (values: RefundFormValues) => refundFieldErrors(values, refundable),
    send: (values, key) =>
      createRefund(payment.id, toRefundRequest(values, key)).finally(() =>
        client.invalidateQueries({ queryKey: paymentQuery(payment.id).queryKey }),
      ),
    onSuccess: onClose,
  });
  return (
    <FormDialog
      title="Refund payment"
      onClose={onClose}
      onSubmit={form.submit}
      isPending={form.isPending}
      error={form.error}
      submitLabel={form.isPending ? "Refunding…" : "Refund payment"}
      validated={false}
      formRef={form.formRef}
    >
      <p className="text-sm">
        You can refund up to <strong>{formatMoney(refundable, payment.currency)}</strong> of{" "}
        {formatMoney(payment.amount, payment.currency)}. The payer gets the money back. You can't
        cancel a refund.
      </p>
      <Field label={`Amount in ${payment.currency}`} error={form.fieldErrors.amount}>
        {(inputProps) => (
          <input
            {...inputProps}
            required
            inputMode="decimal"
            autoComplete="off"
            value={form.values.amount}
            onChange={(event) => form.change({ amount: event.target.value })}
          />
        )}
      </Field>
      <Field label="Reason" hint="Optional. For your records." error={form.fieldErrors.reason}>
        {(inputProps) => (
          <input
            {...inputProps}
            autoComplete="off"
            value={form.values.reason}
            onChange={(event) => form.change({ reason: event.target.value })}
          />
        )}
      </Field>
      {(form.isUnanswered || form.errorCode === "unreachable") && (
        <p className="text-xs text-muted">
          The refund may have been created. It is safe to submit this form again: it never creates a
          second refund.
        </p>
      )}
    </FormDialog>
  );
}
