import type { Payment } from "../../api/client";
import { withRetry } from "../../api/retry";
import type { PaymentsSearch } from "./payments-search";
import { page } from "./queries";

const COLUMNS = [
  "id",
  "created_at",
  "status",
  "merchant",
  "amount",
  "currency",
  "type",
  "amount_refunded",
  "failure_code",
  "completed_at",
  "description",
] as const satisfies readonly (keyof Payment)[];
const LARGEST_PAGE = 100;

/** A cell (RFC 4180). What a spreadsheet would take for a formula is made a text. */
export function cell(value: string | number | null): string {
  if (value === null) return "";
  if (typeof value === "number") return value.toFixed(2);
  const harmless = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

export function csv(payments: readonly Payment[]): string {
  const lines = payments.map((payment) => COLUMNS.map((column) => cell(payment[column])).join(","));
  return [COLUMNS.join(","), ...lines, ""].join("\r\n");
}

/** All that the filters let through, page by page. Throws a ApiError, or the abort. */
export async function everyPayment(
  search: PaymentsSearch,
  signal: AbortSignal,
  progress: (count: number) => void,
): Promise<Payment[]> {
  const all: Payment[] = [];
  let cursor: string | null | undefined;
  do {
    const { cursor: _, ...filters } = search;
    const place = cursor ? { ...filters, cursor } : filters;
    const got = await withRetry(() => page(place, LARGEST_PAGE, signal), signal);
    all.push(...got.payments);
    progress(all.length);
    cursor = got.next_cursor;
  } while (cursor);
  return all;
}
