import type { Currency, PaymentType, Status } from "../../api/client";

// Each list is held to the API's by its type: a value that the API gains fails to compile here.

const STATUS_NAMES: Record<Status, string> = {
  processing: "Processing",
  completed: "Completed",
  failed: "Failed",
  canceled: "Canceled",
  returned: "Returned",
};
const TYPE_NAMES: Record<PaymentType, string> = {
  wire: "Wire",
  eft: "EFT",
  interac: "Interac",
  ach: "ACH",
};
const CURRENCY_NAMES: Record<Currency, string> = { CAD: "CAD", USD: "USD" };

export const STATUSES = Object.keys(STATUS_NAMES) as Status[];
export const TYPES = Object.keys(TYPE_NAMES) as PaymentType[];
export const CURRENCIES = Object.keys(CURRENCY_NAMES) as Currency[];

export const statusLabel = (status: Status) => STATUS_NAMES[status];
export const typeLabel = (type: PaymentType) => TYPE_NAMES[type];

const FAILURES: Record<string, string> = {
  insufficient_funds: "The payer's account did not hold enough. They can add funds; then pay anew.",
  account_closed: "The account is closed. Ask the payer for another one.",
  account_not_found: "There is no such account. Check its details with the payer.",
  rejected_by_bank: "The bank refused, and gave no reason. Only the payer can ask it why.",
  currency_not_supported:
    "This way of paying does not carry this currency: Interac carries CAD only, ACH USD only.",
};

/** What a failure code means, and what can be done. */
export function failureSays(code: string): string {
  return FAILURES[code] ?? "The code is the bank's own; its documentation explains it.";
}
