import type { Payment } from "../../api/client";

/** What was refunded of a payment that its bank took back as well: the merchant has lost it. */
export const lostAmount = ({ status, amount_refunded }: Payment) =>
  status === "returned" ? amount_refunded : 0;

/** What is wrong with the text of an amount, or undefined if nothing is. */
export function amountError(text: string): string | undefined {
  const amount = text.trim();
  if (!/^\d+(\.\d+)?$/.test(amount)) return "Enter an amount, such as 12.50.";
  if (/\.\d{3,}$/.test(amount)) return "Enter at most 2 decimals.";
  if (Number(amount) <= 0) return "Enter an amount greater than 0.";
  return undefined;
}
