import type { Payment } from "../../api/client";
import { toCents } from "../../lib/money";

/** What went back twice, refunded by the merchant and taken back by the bank: it is lost. */
export function lostAmount({ status, amount, amount_refunded, amount_returned }: Payment): number {
  if (status !== "returned") return 0;
  return (toCents(amount_refunded) + toCents(amount_returned) - toCents(amount)) / 100;
}

/** What is wrong with the text of an amount, or undefined if nothing is. */
export function amountError(text: string): string | undefined {
  const amount = text.trim();
  if (!/^\d+(\.\d+)?$/.test(amount)) return "Enter an amount, such as 12.50.";
  if (/\.\d{3,}$/.test(amount)) return "Enter at most 2 decimals.";
  if (Number(amount) <= 0) return "Enter an amount greater than 0.";
  return undefined;
}
