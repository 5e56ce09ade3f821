import type { Payment } from "../../api/client";
import { withRetry } from "../../api/retry";
import type { PaymentsSearch } from "./payments-search";
import { fetchPayments } from "./queries";

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
const MAX_PAGE_SIZE = 100;

/** One CSV cell (RFC 4180). A leading quote keeps spreadsheets from running text as a formula. */
export function csvCell(value: string | number | null): string {
  if (value === null) return "";
  if (typeof value === "number") return value.toFixed(2);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function toCsv(payments: readonly Payment[]): string {
  const rows = payments.map((payment) =>
    COLUMNS.map((column) => csvCell(payment[column])).join(","),
  );
  return [COLUMNS.join(","), ...rows, ""].join("\r\n");
}

/** Fetch every payment that matches the filters. Throws an ApiError, or the abort reason. */
export async function fetchAllPayments(
  { cursor: _, ...filters }: PaymentsSearch,
  signal: AbortSignal,
  onProgress: (count: number) => void,
): Promise<Payment[]> {
  const payments: Payment[] = [];
  let cursor: string | null | undefined;
  do {
    const search = cursor ? { ...filters, cursor } : filters;
    const page = await withRetry(() => fetchPayments(search, MAX_PAGE_SIZE, signal), signal);
    payments.push(...page.payments);
    onProgress(payments.length);
    cursor = page.next_cursor;
  } while (cursor);
  return payments;
}
