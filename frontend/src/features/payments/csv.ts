import type { Payment } from "../../api/client";
import { withRetry } from "../../api/retry";
import { lostAmount } from "./amount";
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
  "direction",
  "amount_refunded",
  "amount_returned",
  "amount_lost",
  "failure_code",
  "bank_code",
  "expected_at",
  "completed_at",
  "description",
] as const satisfies readonly (keyof Payment | "amount_lost")[];
const TIMES = ["created_at", "expected_at", "completed_at"] as const;
const MAX_PAGE_SIZE = 100;

/** How the viewer's spreadsheet separates cells, and writes decimals. */
export type CsvFormat = { separator: "," | ";"; decimal: "." | "," };

/** Where decimals have a comma, as in French Canada, spreadsheets separate cells by semicolons. */
export function csvFormat(locale?: string): CsvFormat {
  const parts = new Intl.NumberFormat(locale).formatToParts(1.5);
  const usesComma = parts.some(({ type, value }) => type === "decimal" && value === ",");
  return usesComma ? { separator: ";", decimal: "," } : { separator: ",", decimal: "." };
}

// A cell begins where the text does, and after whatever a spreadsheet may take for a separator.
const FORMULA = /(^|[,;|\t\r\n])(\s*)([=+\-@\uFF1D\uFF0B\uFF0D\uFF20])/g;

/** One cell (RFC 4180). A quote before what may be a formula keeps spreadsheets from running it. */
export function csvCell(value: string | number | null, { decimal }: CsvFormat): string {
  if (value === null) return "";
  if (typeof value === "number") return quoted(value.toFixed(2).replace(".", decimal));
  return quoted(value.replace(FORMULA, "$1$2'$3"));
}

const quoted = (text: string) =>
  /[",;|\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;

/** A time in UTC as spreadsheets read it: without the T, the Z and the fraction. */
const csvTime = (at: string | null) => at?.slice(0, 19).replace("T", " ") ?? null;

export function toCsv(payments: readonly Payment[], format = csvFormat()): string {
  const row = (payment: Payment) => {
    const cells = { ...payment, amount_lost: lostAmount(payment) };
    return COLUMNS.map((column) =>
      csvCell(isTime(column) ? csvTime(cells[column]) : cells[column], format),
    );
  };
  const header = COLUMNS.map((column) => (isTime(column) ? `${column}_utc` : column));
  const rows = [header, ...payments.map(row)];
  return [...rows.map((cells) => cells.join(format.separator)), ""].join("\r\n");
}

const isTime = (column: string): column is (typeof TIMES)[number] =>
  TIMES.some((time) => time === column);

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
