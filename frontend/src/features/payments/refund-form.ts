import type { Payment } from "../../api/client";
import type { components } from "../../api/schema";
import { toCents } from "../../lib/money";

export type Refund = components["schemas"]["Refund"];
export type RefundFormValues = { amount: string; reason: string };

/** What of a payment can still be refunded: nothing, unless it is completed. */
export function refundableAmount(payment: Payment): number {
  if (payment.status !== "completed") return 0;
  return (toCents(payment.amount) - toCents(payment.amount_refunded)) / 100;
}

/** What the API would refuse, by field. Its word is the last: others may refund meanwhile. */
export function refundFieldErrors(wish: RefundFormValues, left: number): Record<string, string> {
  const found: Record<string, string> = {};
  const amount = wish.amount.trim();
  if (!/^\d+(\.\d+)?$/.test(amount)) found.amount = "A number, such as 12.50.";
  else if (/\.\d{3,}$/.test(amount)) found.amount = "At most 2 decimals.";
  else if (Number(amount) <= 0) found.amount = "More than nothing.";
  else if (toCents(Number(amount)) > toCents(left)) found.amount = "More than what is left.";
  if (wish.reason.length > 500) found.reason = "At most 500 characters.";
  return found;
}

/** As the API takes it. The amount stays the text that was typed: money is never a float. */
export function toRefundRequest(
  wish: RefundFormValues,
  key: string,
): components["schemas"]["CreateRefund"] {
  return {
    amount: wish.amount.trim(),
    reason: wish.reason.trim() || null,
    idempotency_key: key,
  };
}
