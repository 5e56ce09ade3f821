import type { Payment } from "../../api/client";
import type { components } from "../../api/schema";
import { toCents } from "../../lib/money";
import { characterCount } from "../../lib/text";
import { amountError } from "./amount";

export type RefundFormValues = { amount: string; reason: string };

/** The amount that can still be refunded: zero unless the payment is a completed debit. */
export function refundableAmount(payment: Payment): number {
  if (payment.status !== "completed" || payment.direction === "credit") return 0;
  return (toCents(payment.amount) - toCents(payment.amount_refunded)) / 100;
}

/** Find what the API would reject, by field. The API has the last word: others may refund too. */
export function refundFieldErrors(
  values: RefundFormValues,
  refundable: number,
): Record<string, string> {
  const errors: Record<string, string> = {};
  const amount = amountError(values.amount);
  if (amount) errors.amount = amount;
  else if (toCents(Number(values.amount)) > toCents(refundable)) {
    errors.amount = "This is more than the refundable amount.";
  }
  if (characterCount(values.reason.trim()) > 500) errors.reason = "Enter at most 500 characters.";
  return errors;
}

/** Build the request. The amount stays the text that was typed: money is never a float. */
export function toRefundRequest(
  values: RefundFormValues,
  idempotencyKey: string,
): components["schemas"]["CreateRefund"] {
  return {
    amount: values.amount.trim(),
    reason: values.reason.trim() || null,
    idempotency_key: idempotencyKey,
  };
}
