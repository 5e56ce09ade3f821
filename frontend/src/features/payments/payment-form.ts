import type { components } from "../../api/schema";

export type PaymentFormValues = {
  merchant: string;
  amount: string;
  currency: components["schemas"]["Currency"];
  type: components["schemas"]["PaymentType"];
  description: string;
  metadata: readonly { readonly id: number; readonly name: string; readonly value: string }[];
};

export const EMPTY: PaymentFormValues = {
  merchant: "",
  amount: "",
  currency: "CAD",
  type: "interac",
  description: "",
  metadata: [],
};

const LARGEST = 1_000_000;

/** What the API would refuse, by field, so that it need not be asked. Its word is the last. */
export function fieldErrors(wish: PaymentFormValues): Record<string, string> {
  const found: Record<string, string> = {};
  const merchant = wish.merchant.trim();
  if (!merchant) found.merchant = "Say who is paid.";
  else if (length(merchant) > 255) found.merchant = "At most 255 characters.";
  const amount = wish.amount.trim();
  if (!/^\d+(\.\d+)?$/.test(amount)) found.amount = "A number, such as 12.50.";
  else if (/\.\d{3,}$/.test(amount)) found.amount = `At most 2 decimals in ${wish.currency}.`;
  else if (Number(amount) <= 0) found.amount = "More than nothing.";
  else if (Number(amount) > LARGEST) found.amount = "At most 1,000,000.";
  if (length(wish.description.trim()) > 500) found.description = "At most 500 characters.";
  const names = wish.metadata.map((pair) => pair.name);
  if (names.some((name) => !name)) found.metadata = "Every entry needs a name.";
  else if (new Set(names).size < names.length) found.metadata = "Two entries have one name.";
  else if (names.length > 20) found.metadata = "At most 20 entries.";
  return found;
}

/** Characters as the API counts them: an emoji is one. */
const length = (text: string) => [...text].length;

/** As the API takes it. The amount stays the text that was typed: money is never a float. */
export function toPaymentRequest(
  wish: PaymentFormValues,
  key: string,
): components["schemas"]["CreatePayment"] {
  return {
    merchant: wish.merchant.trim(),
    amount: wish.amount.trim(),
    currency: wish.currency,
    type: wish.type,
    idempotency_key: key,
    description: wish.description.trim() || null,
    metadata: Object.fromEntries(wish.metadata.map(({ name, value }) => [name, value])),
  };
}
