import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Tabs } from "radix-ui";
import { type ReactNode, useState } from "react";
import type { Currency } from "../../api/client";
import type { components } from "../../api/schema";
import { BUTTON_VARIANTS } from "../../components/button";
import { Card } from "../../components/card";
import { ErrorAlert } from "../../components/error-alert";
import { inputClass } from "../../components/field";
import { PageTitle } from "../../components/page-title";
import { formatMoney } from "../../lib/money";
import { CURRENCIES, statusLabel, typeLabel } from "../payments/labels";
import { BAR_FILLS, DailyChart, figure, shortDay } from "./daily-chart";
import { Health } from "./health-card";
import { DEFAULT_RANGE, RANGES, type Range } from "./overview-search";
import { statsQuery } from "./queries";
import {
  type DailyTotals,
  dailyTotals,
  type Measure,
  type Part,
  parts,
  rate,
  SETTLED_STATUSES,
  summary,
} from "./totals";

const route = getRouteApi("/");

export function OverviewPage() {
  const { days = DEFAULT_RANGE } = route.useSearch();
  const { data, error, refetch, isPlaceholderData } = useQuery(statsQuery(days));
  return (
    <>
      <PageTitle title="Overview" actions={<RangePicker chosen={days} />} />
      {error && (
        <div className="mb-4">
          <ErrorAlert error={error} retry={() => refetch()} />
        </div>
      )}
      {data ? (
        <div aria-busy={isPlaceholderData} className={isPlaceholderData ? "opacity-60" : ""}>
          <Figures stats={data} />
        </div>
      ) : error ? (
        <Health />
      ) : (
        <Skeleton />
      )}
    </>
  );
}

function RangePicker({ chosen }: { chosen: Range }) {
  return (
    <nav aria-label="Time range" className="flex rounded-lg bg-raised p-0.5 text-sm">
      {RANGES.map((days) => (
        <Link
          key={days}
          to="/"
          search={days === DEFAULT_RANGE ? {} : { days }}
          aria-current={days === chosen ? "page" : undefined}
          className={`rounded-md px-3 py-1.5 font-medium ${
            days === chosen
              ? "bg-surface text-foreground shadow-sm"
              : "text-muted hover:text-foreground"
          }`}
        >
          {days} days
        </Link>
      ))}
    </nav>
  );
}

type Stats = components["schemas"]["Stats"];

function Figures({ stats }: { stats: Stats }) {
  const whole = summary(stats.rows);
  return (
    <div className="space-y-5">
      <p className="text-sm text-muted">
        Payments created from {shortDay(stats.from)} to {shortDay(stats.to)}, by UTC day.
      </p>
      <dl className="grid gap-3 sm:grid-cols-2 xl:grid-cols-4">
        <Tile name="Settled" note="completed, failed, canceled or returned">
          {whole.settled.toLocaleString()}
        </Tile>
        <Tile name="Success rate" note="completed, of those that a bank decided">
          {rate(whole.successRate)}
        </Tile>
        <Tile name="Completed volume" note="each currency by itself">
          {CURRENCIES.filter((currency) => whole.volume[currency] !== undefined).map((currency) => (
            <span key={currency} className="flex flex-wrap items-baseline gap-x-2 text-lg">
              <span className="text-sm font-normal text-muted">{currency}</span>
              {formatMoney(whole.volume[currency] ?? 0, currency)}
            </span>
          ))}
          {Object.keys(whole.volume).length === 0 && "–"}
        </Tile>
        <Tile name="Processing" note="approximate: as the index has it">
          <Link to="/payments" search={{ status: "processing" }} className="hover:underline">
            {stats.processing.count.toLocaleString()}
          </Link>
        </Tile>
      </dl>
      <div className="grid gap-5 xl:grid-cols-[1fr_19rem]">
        <div className="min-w-0 space-y-5">
          {stats.rows.length > 0 ? <OverTime stats={stats} /> : <Nothing />}
          {stats.rows.length > 0 && <Parts parts={parts(stats.rows)} />}
        </div>
        <Health />
      </div>
    </div>
  );
}

function Tile({ name, note, children }: { name: string; note: string; children: ReactNode }) {
  return (
    <div className="rounded-xl border border-border bg-surface p-4">
      <dt className="text-sm font-medium text-muted">{name}</dt>
      <dd className="mt-1 text-2xl font-semibold tabular-nums">{children}</dd>
      <dd className="mt-1 text-xs text-muted">{note}</dd>
    </div>
  );
}

const MEASURES: readonly [Measure, string][] = [
  ["count", "Payments"],
  ...CURRENCIES.map((currency: Currency): [Measure, string] => [currency, `Volume in ${currency}`]),
];
const TAB =
  "rounded-md px-2.5 py-1 text-xs font-medium text-muted data-[state=active]:bg-surface data-[state=active]:text-foreground";

function OverTime({ stats }: { stats: Stats }) {
  const [measure, setMeasure] = useState<Measure>("count");
  const days = dailyTotals(stats, measure);
  const name = MEASURES.find(([one]) => one === measure)?.[1] ?? "";
  return (
    <Card
      title="Over time"
      action={
        <select
          aria-label="Show"
          className={`${inputClass()} w-auto! min-h-8! py-0.5! text-xs!`}
          value={measure}
          onChange={(event) => setMeasure(event.target.value as Measure)}
        >
          {MEASURES.map(([one, text]) => (
            <option key={one} value={one}>
              {text}
            </option>
          ))}
        </select>
      }
    >
      <Tabs.Root defaultValue="chart" className="p-4">
        <div className="mb-3 flex flex-wrap items-center justify-between gap-3">
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
          <Tabs.List aria-label="Show as" className="flex rounded-lg bg-raised p-0.5">
            <Tabs.Trigger value="chart" className={TAB}>
              Chart
            </Tabs.Trigger>
            <Tabs.Trigger value="table" className={TAB}>
              Table
            </Tabs.Trigger>
          </Tabs.List>
        </div>
        <Tabs.Content value="chart" tabIndex={-1}>
          <div role="img" aria-label={`${name} by day; the table has the numbers`}>
            <DailyChart days={days} measure={measure} />
          </div>
        </Tabs.Content>
        <Tabs.Content value="table" tabIndex={-1}>
          <DayTable days={days} measure={measure} />
        </Tabs.Content>
      </Tabs.Root>
    </Card>
  );
}

const PLACE = "px-3 py-2 max-sm:px-2 max-sm:text-xs";
const HEAD = `${PLACE} text-right text-xs font-medium text-muted first:text-left`;
const CELL = `${PLACE} text-right whitespace-nowrap tabular-nums`;
const ROW = `${PLACE} text-left font-medium whitespace-nowrap`;

function DayTable({ days, measure }: { days: readonly DailyTotals[]; measure: Measure }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by key
    <div className="max-h-[280px] overflow-auto" tabIndex={0}>
      <table className="w-full text-sm">
        <thead>
          <tr>
            <th scope="col" className={HEAD}>
              Day
            </th>
            {SETTLED_STATUSES.map((status) => (
              <th key={status} scope="col" className={HEAD}>
                {statusLabel(status)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="divide-y divide-border">
          {days.toReversed().map((day) => (
            <tr key={day.day}>
              <th scope="row" className={ROW}>
                {shortDay(day.day)}
              </th>
              {SETTLED_STATUSES.map((status) => (
                <td key={status} className={CELL}>
                  {figure(day[status], measure)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Parts({ parts }: { parts: readonly Part[] }) {
  return (
    <Card title="By type and currency">
      <div className="overflow-x-auto">
        <table className="w-full text-sm">
          <thead className="border-b border-border">
            <tr>
              {["Type", "Settled", "Success rate", "Completed volume"].map((name) => (
                <th key={name} scope="col" className={HEAD}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody className="divide-y divide-border">
            {parts.map(({ type, currency, summary: { settled, successRate, volume } }) => (
              <tr key={type + currency}>
                <th scope="row" className={ROW}>
                  <Link to="/payments" search={{ type, currency }} className="hover:underline">
                    {typeLabel(type)} <span className="font-normal text-muted">{currency}</span>
                  </Link>
                </th>
                <td className={CELL}>{settled.toLocaleString()}</td>
                <td className={CELL}>{rate(successRate)}</td>
                <td className={CELL}>{formatMoney(volume[currency] ?? 0, currency)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

function Nothing() {
  return (
    <div className="rounded-xl border border-dashed border-border p-10 text-center">
      <p className="font-medium">No payment of these days has been settled</p>
      <p className="mt-1 mb-4 text-sm text-muted">The first one is counted here at once.</p>
      <Link to="/payments/new" className={BUTTON_VARIANTS.primary}>
        Make a payment
      </Link>
    </div>
  );
}

function Skeleton() {
  return (
    <div className="space-y-5">
      <p role="status" className="text-sm text-muted">
        Adding up…
      </p>
      <div className="grid gap-3 sm:grid-cols-2 xl:grid-cols-4">
        {["a", "b", "c", "d"].map((tile) => (
          <div key={tile} className="h-28 animate-pulse rounded-xl bg-raised" />
        ))}
      </div>
      <div className="grid gap-5 xl:grid-cols-[1fr_19rem]">
        <div className="h-80 animate-pulse rounded-xl bg-raised" />
        <Health />
      </div>
    </div>
  );
}
