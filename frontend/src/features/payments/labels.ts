import type { Currency, Payment, PaymentType, Status } from "../../api/client";

export type Direction = Payment["direction"];

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
const DIRECTION_LABELS: Record<Direction, string> = {
  debit: "Debit (collects money)",
  credit: "Credit (pays money out)",
};
const CURRENCY_LABELS: Record<Currency, string> = { CAD: "CAD", USD: "USD" };

export const STATUSES = Object.keys(STATUS_LABELS) as Status[];
export const TYPES = Object.keys(TYPE_LABELS) as PaymentType[];
export const CURRENCIES = Object.keys(CURRENCY_LABELS) as Currency[];

export const DIRECTIONS = Object.keys(DIRECTION_LABELS) as Direction[];

export const directionLabel = (direction: Direction) => DIRECTION_LABELS[direction];
export const statusLabel = (status: Status) => STATUS_LABELS[status];
export const typeLabel = (type: PaymentType) => TYPE_LABELS[type];

const FAILURE_MESSAGES: Record<string, string> = {
  insufficient_funds: "The account has insufficient funds. Try again once there are funds.",
  account_closed: "The account is closed. Ask its holder for another account.",
  account_not_found: "The account doesn't exist. Check its details with its holder.",
  account_frozen: "The account is frozen. Ask its holder for another account.",
  no_authorization: "The account's holder did not agree, or no longer does. Ask them to agree.",
  payment_stopped: "The account's holder stopped it at their bank. Ask them why.",
  rejected_by_bank: "The bank gave another reason. Ask the account's holder to call their bank.",
  currency_not_supported:
    "This payment type doesn't support the currency. Interac supports CAD only, and ACH USD only.",
  payment_returned: "The bank took the payment back before the refund was sent.",
};

/** What a failure code means, and what to do about it. */
export function failureMessage(code: string): string {
  return FAILURE_MESSAGES[code] ?? "This is a code of the bank. See the bank's documentation.";
}

/** The code to explain to a person: of a return, what the bank's own code means. */
export const failureCode = ({ failure_code, return_reason }: Payment) =>
  return_reason ?? failure_code;
