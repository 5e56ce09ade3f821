import type { Currency, PaymentType, Status } from "../../api/client";
import type { components } from "../../api/schema";
import { toCents } from "../../lib/money";
import { CURRENCIES, TYPES } from "../payments/labels";

export type Total = components["schemas"]["Total"];
export type SettledStatus = Exclude<Status, "processing">;

/** In the order of a stacked bar, from the bottom up. */
export const SETTLED_STATUSES = [
  "completed",
  "returned",
  "failed",
  "canceled",
] as const satisfies readonly SettledStatus[];

type StatusTotals = Record<SettledStatus, number>;

/** What to add up: the number of payments, or the volume in one currency. */
export type Measure = "count" | Currency;

function sumByStatus(rows: readonly Total[], measure: Measure): StatusTotals {
  const sums: StatusTotals = { completed: 0, returned: 0, failed: 0, canceled: 0 };
  for (const { status, count, currency, volume } of rows) {
    if (status === "processing") continue;
    if (measure === "count") sums[status] += count;
    else if (measure === currency) sums[status] += toCents(volume);
  }
  if (measure !== "count") for (const status of SETTLED_STATUSES) sums[status] /= 100;
  return sums;
}

export type DailyTotals = { day: string } & StatusTotals;

/** Totals of every day in the range, including days without payments. */
export function dailyTotals(
  { from, to, rows }: { from: string; to: string; rows: readonly Total[] },
  measure: Measure,
): DailyTotals[] {
  return daysBetween(from, to).map((day) => ({
    day,
    ...sumByStatus(
      rows.filter((row) => row.day === day),
      measure,
    ),
  }));
}

export function daysBetween(from: string, to: string): string[] {
  const days: string[] = [];
  for (const date = new Date(`${from}T00:00:00Z`); ; date.setUTCDate(date.getUTCDate() + 1)) {
    const day = date.toISOString().slice(0, 10);
    if (day > to) return days;
    days.push(day);
  }
}

type Summary = {
  settled: number;
  /** Completed payments as a share of all but the canceled ones. Undefined if there are none. */
  successRate: number | undefined;
  volume: Partial<Record<Currency, number>>;
};

export function summarize(rows: readonly Total[]): Summary {
  const counts = sumByStatus(rows, "count");
  const decided = counts.completed + counts.failed + counts.returned;
  const currencies = CURRENCIES.filter((currency) => rows.some((row) => row.currency === currency));
  return {
    settled: decided + counts.canceled,
    successRate: decided > 0 ? counts.completed / decided : undefined,
    volume: Object.fromEntries(
      currencies.map((currency) => [currency, sumByStatus(rows, currency).completed]),
    ),
  };
}

type BreakdownRow = { type: PaymentType; currency: Currency; summary: Summary };

/** One row for each type and currency that has payments. */
export function breakdown(rows: readonly Total[]): BreakdownRow[] {
  return TYPES.flatMap((type) =>
    CURRENCIES.flatMap((currency) => {
      const matching = rows.filter((row) => row.type === type && row.currency === currency);
      return matching.length > 0 ? [{ type, currency, summary: summarize(matching) }] : [];
    }),
  );
}

const PERCENT = new Intl.NumberFormat(undefined, {
  style: "percent",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});

/** Never round to 0 % or 100 %: one failure among a million payments is still a failure. */
export function formatRate(rate: number | undefined): string {
  if (rate === undefined) return "–";
  if (rate < 1 && rate > 0.999) return `>${PERCENT.format(0.999)}`;
  return rate > 0 && rate < 0.001 ? `<${PERCENT.format(0.001)}` : PERCENT.format(rate);
}
