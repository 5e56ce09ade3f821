import type { components } from "../../api/schema";
import { characterCount } from "../../lib/text";
import { amountError } from "./amount";
import type { Direction } from "./labels";

export type PaymentFormValues = {
  merchant: string;
  amount: string;
  currency: components["schemas"]["Currency"];
  type: components["schemas"]["PaymentType"];
  direction: Direction;
  description: string;
  metadata: readonly { readonly id: number; readonly key: string; readonly value: string }[];
};

export const EMPTY: PaymentFormValues = {
  merchant: "",
  amount: "",
  currency: "CAD",
  type: "interac",
  direction: "debit",
  description: "",
  metadata: [],
};

const MAX_AMOUNT = 1_000_000;

/** Find what the API would reject, by field. The API has the last word. */
export function paymentFieldErrors(values: PaymentFormValues): Record<string, string> {
  const errors: Record<string, string> = {};
  const merchant = values.merchant.trim();
  if (!merchant) errors.merchant = "Enter a merchant.";
  else if (characterCount(merchant) > 255) errors.merchant = "Enter at most 255 characters.";
  const amount = amountError(values.amount);
  if (amount) errors.amount = amount;
  else if (Number(values.amount) > MAX_AMOUNT) errors.amount = "Enter at most 1,000,000.";
  if (characterCount(values.description.trim()) > 500) {
    errors.description = "Enter at most 500 characters.";
  }
  const keys = values.metadata.map(({ key }) => key);
  if (keys.some((key) => !key)) errors.metadata = "Enter a key for every entry.";
  else if (new Set(keys).size < keys.length) errors.metadata = "Enter each key only once.";
  else if (keys.length > 20) errors.metadata = "Enter at most 20 entries.";
  else if (keys.some((key) => characterCount(key) > 40)) {
    errors.metadata = "Enter keys of at most 40 characters.";
  } else if (values.metadata.some(({ value }) => characterCount(value) > 500)) {
    errors.metadata = "Enter values of at most 500 characters.";
  }
  return errors;
}

/** Build the request. The amount stays the text that was typed: money is never a float. */
export function toPaymentRequest(
  values: PaymentFormValues,
  idempotencyKey: string,
): components["schemas"]["CreatePayment"] {
  return {
    merchant: values.merchant.trim(),
    amount: values.amount.trim(),
    currency: values.currency,
    type: values.type,
    direction: values.direction,
    idempotency_key: idempotencyKey,
    description: values.description.trim() || null,
    metadata: Object.fromEntries(values.metadata.map(({ key, value }) => [key, value])),
  };
}
