import { Tabs } from "radix-ui";
import { useState } from "react";
import type { Currency } from "../../api/client";
import type { components } from "../../api/schema";
import { Card } from "../../components/card";
import { inputClass } from "../../components/field";
import { CURRENCIES, statusLabel } from "../payments/labels";
import { ColumnHeaders } from "./column-headers";
import { BAR_FILLS, DailyChart, formatValue, shortDay } from "./daily-chart";
import { NUMBER_CELL, ROW_HEADER } from "./table-classes";
import { type DailyTotals, dailyTotals, type Measure, SETTLED_STATUSES } from "./totals";

const MEASURES: readonly [Measure, string][] = [
  ["count", "Payments"],
  ...CURRENCIES.map((currency: Currency): [Measure, string] => [currency, `Volume in ${currency}`]),
];
const TAB =
  "rounded-md px-2.5 py-1 text-xs font-medium text-muted data-[state=active]:bg-surface data-[state=active]:text-foreground";

/** Totals by day, as a chart or as a table. */
export function DailyCard({ stats }: { stats: components["schemas"]["Stats"] }) {
  const [measure, setMeasure] = useState<Measure>("count");
  const days = dailyTotals(stats, measure);
  const measureLabel = MEASURES.find(([value]) => value === measure)?.[1] ?? "";
  return (
    <Card
      title="Debits by day"
      action={
        <select
          aria-label="Measure"
          className={`${inputClass()} w-auto! min-h-8! py-0.5! text-xs!`}
          value={measure}
          onChange={(event) => setMeasure(event.target.value as Measure)}
        >
          {MEASURES.map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      }
    >
      <Tabs.Root defaultValue="chart" className="p-4">
        <div className="mb-3 flex flex-wrap items-center justify-between gap-3">
          <Legend />
          <Tabs.List aria-label="View" className="flex rounded-lg bg-raised p-0.5">
            <Tabs.Trigger value="chart" className={TAB}>
              Chart
            </Tabs.Trigger>
            <Tabs.Trigger value="table" className={TAB}>
              Table
            </Tabs.Trigger>
          </Tabs.List>
        </div>
        <Tabs.Content value="chart" tabIndex={-1}>
          <div role="img" aria-label={`${measureLabel} by day. See the table for the numbers.`}>
            <DailyChart days={days} measure={measure} />
          </div>
        </Tabs.Content>
        <Tabs.Content value="table" tabIndex={-1}>
          <DailyTable days={days} measure={measure} />
        </Tabs.Content>
      </Tabs.Root>
    </Card>
  );
}

function Legend() {
  return (
    <ul className="flex flex-wrap gap-x-4 gap-y-1 text-xs text-muted">
      {SETTLED_STATUSES.map((status) => (
        <li key={status} className="flex items-center gap-1.5">
          <svg viewBox="0 0 10 10" className="size-2.5" aria-hidden="true">
            <rect width="10" height="10" rx="2" className={BAR_FILLS[status]} />
          </svg>
          {statusLabel(status)}
        </li>
      ))}
    </ul>
  );
}

function DailyTable({ days, measure }: { days: readonly DailyTotals[]; measure: Measure }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region needs keyboard access
    <div className="max-h-[280px] overflow-auto" tabIndex={0}>
      <table className="w-full text-sm">
        <ColumnHeaders columns={["Day", ...SETTLED_STATUSES.map(statusLabel)]} />
        <tbody className="divide-y divide-border">
          {days.toReversed().map((totals) => (
            <tr key={totals.day}>
              <th scope="row" className={ROW_HEADER}>
                {shortDay(totals.day)}
              </th>
              {SETTLED_STATUSES.map((status) => (
                <td key={status} className={NUMBER_CELL}>
                  {formatValue(totals[status], measure)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
