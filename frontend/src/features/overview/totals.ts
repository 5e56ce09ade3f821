import type { Currency, PaymentType, Status } from "../../api/client";
import type { components } from "../../api/schema";
import { toCents } from "../../lib/money";
import { CURRENCIES, TYPES } from "../payments/labels";

export type Total = components["schemas"]["Total"];
export type SettledStatus = Exclude<Status, "processing">;

/** In the order in which a bar stacks them. */
export const SETTLED_STATUSES = [
  "completed",
  "returned",
  "failed",
  "canceled",
] as const satisfies readonly SettledStatus[];

type OfStatus = Record<SettledStatus, number>;
const none = (): OfStatus => ({ completed: 0, returned: 0, failed: 0, canceled: 0 });

export type Measure = "count" | Currency;

/** How many, or how much of one currency: amounts of two are never added. */
function measured(row: Total, measure: Measure): number {
  if (measure === "count") return row.count;
  return row.currency === measure ? toCents(row.volume) : 0;
}

function added(rows: readonly Total[], measure: Measure): OfStatus {
  const sums = none();
  for (const row of rows) {
    if (row.status !== "processing") sums[row.status] += measured(row, measure);
  }
  if (measure !== "count") for (const status of SETTLED_STATUSES) sums[status] /= 100;
  return sums;
}

export type DailyTotals = { day: string } & OfStatus;

/** Every day of the range, those without a payment too. */
export function dailyTotals(
  { from, to, rows }: { from: string; to: string; rows: readonly Total[] },
  measure: Measure,
): DailyTotals[] {
  return daysBetween(from, to).map((day) => ({
    day,
    ...added(
      rows.filter((row) => row.day === day),
      measure,
    ),
  }));
}

export function daysBetween(from: string, to: string): string[] {
  const days: string[] = [];
  for (const day = new Date(`${from}T00:00:00Z`); ; day.setUTCDate(day.getUTCDate() + 1)) {
    const text = day.toISOString().slice(0, 10);
    if (text > to) return days;
    days.push(text);
  }
}

export type Summary = {
  settled: number;
  /** Of those that a bank decided: what was canceled never came to one. */
  successRate: number | undefined;
  volume: Partial<Record<Currency, number>>;
};

export function summary(rows: readonly Total[]): Summary {
  const counts = added(rows, "count");
  const decided = counts.completed + counts.failed + counts.returned;
  return {
    settled: decided + counts.canceled,
    successRate: decided > 0 ? counts.completed / decided : undefined,
    volume: Object.fromEntries(
      CURRENCIES.map((currency) => [currency, added(rows, currency).completed] as const).filter(
        ([currency]) => rows.some((row) => row.currency === currency),
      ),
    ),
  };
}

export type Part = { type: PaymentType; currency: Currency; summary: Summary };

/** Each type in each currency that has a payment. */
export function parts(rows: readonly Total[]): Part[] {
  return TYPES.flatMap((type) =>
    CURRENCIES.flatMap((currency) => {
      const own = rows.filter((row) => row.type === type && row.currency === currency);
      return own.length > 0 ? [{ type, currency, summary: summary(own) }] : [];
    }),
  );
}

const PERCENT = new Intl.NumberFormat(undefined, {
  style: "percent",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});

/** Never rounded to all or to none of them: one that failed among a million did fail. */
export function rate(value: number | undefined): string {
  if (value === undefined) return "–";
  if (value < 1 && value > 0.999) return `>${PERCENT.format(0.999)}`;
  return value > 0 && value < 0.001 ? `<${PERCENT.format(0.001)}` : PERCENT.format(value);
}
