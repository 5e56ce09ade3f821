import type { Currency, PaymentType, Status } from "../../api/client";

// The types come from the API: a value that the API adds does not compile until it has a label.

const STATUS_LABELS: Record<Status, string> = {
  processing: "Processing",
  completed: "Completed",
  failed: "Failed",
  canceled: "Canceled",
  returned: "Returned",
};
const TYPE_LABELS: Record<PaymentType, string> = {
  wire: "Wire",
  eft: "EFT",
  interac: "Interac",
  ach: "ACH",
};
const CURRENCY_LABELS: Record<Currency, string> = { CAD: "CAD", USD: "USD" };

export const STATUSES = Object.keys(STATUS_LABELS) as Status[];
export const TYPES = Object.keys(TYPE_LABELS) as PaymentType[];
export const CURRENCIES = Object.keys(CURRENCY_LABELS) as Currency[];

export const statusLabel = (status: Status) => STATUS_LABELS[status];
export const typeLabel = (type: PaymentType) => TYPE_LABELS[type];

const FAILURE_MESSAGES: Record<string, string> = {
  insufficient_funds:
    "The payer's account has insufficient funds. Create a new payment after they add funds.",
  account_closed: "The payer's account is closed. Ask the payer for another account.",
  account_not_found: "The account doesn't exist. Check the account details with the payer.",
  rejected_by_bank: "The bank rejected the payment without a reason. Ask the payer to contact it.",
  currency_not_supported:
    "This payment type doesn't support the currency. Interac supports CAD only, and ACH USD only.",
};

/** What a failure code means, and what to do about it. */
export function failureMessage(code: string): string {
  return FAILURE_MESSAGES[code] ?? "This is a code of the bank. See the bank's documentation.";
}
