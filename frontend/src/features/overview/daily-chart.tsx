import { scaleBand, scaleLinear } from "d3-scale";
import { stack } from "d3-shape";
import { useLayoutEffect, useRef, useState } from "react";
import { formatMoney } from "../../lib/money";
import { statusLabel } from "../payments/labels";
import { type DailyTotals, type Measure, SETTLED_STATUSES, type SettledStatus } from "./totals";

/** Classes, since a style of its own is what the Content-Security-Policy refuses. */
export const BAR_FILLS: Record<SettledStatus, string> = {
  completed: "fill-bar-completed",
  returned: "fill-bar-returned",
  failed: "fill-bar-failed",
  canceled: "fill-bar-canceled",
};

const SHORT_DAY = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  timeZone: "UTC",
});
const LONG_DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeZone: "UTC" });
const moment = (day: string) => new Date(`${day}T00:00:00Z`);
export const shortDay = (day: string) => SHORT_DAY.format(moment(day));

/** A figure in full, and one that an axis has room for. */
export const figure = (value: number, measure: Measure) =>
  measure === "count" ? value.toLocaleString() : formatMoney(value, measure);
const tick = (value: number, measure: Measure) =>
  new Intl.NumberFormat(undefined, {
    notation: "compact",
    ...(measure !== "count" && { style: "currency", currency: measure }),
  }).format(value);

const HEIGHT = 280;
const TOP = 8;
const FOOT = 24;
const LEFT = 60;
const LABEL_WIDTH = 64;
const NOTE_WIDTH = 224;

/** A bar a day, stacked by what became of its payments; the day under the pointer explains itself. */
export function DailyChart({ days, measure }: { days: readonly DailyTotals[]; measure: Measure }) {
  const { box, width } = useWidth();
  const [shown, show] = useState<string>();
  const x = scaleBand(
    days.map(({ day }) => day),
    [LEFT, width],
  ).padding(0.25);
  const series = stack<DailyTotals, SettledStatus>().keys(SETTLED_STATUSES)(days);
  const highest = Math.max(...series.flatMap((bars) => bars.map(([, top]) => top)), 1);
  const y = scaleLinear([0, highest], [HEIGHT - FOOT, TOP]).nice(4);
  const ticks = y.ticks(4).filter((value) => measure !== "count" || Number.isInteger(value));
  const every = Math.ceil(LABEL_WIDTH / Math.max(x.step(), 1));
  const note = days.find(({ day }) => day === shown);
  const middle = note ? (x(note.day) ?? 0) + x.bandwidth() / 2 : 0;
  return (
    <div ref={box} className="relative" onPointerLeave={() => show(undefined)}>
      <svg width={width} height={HEIGHT} aria-hidden="true" className="block text-xs">
        {ticks.map((value) => (
          <g key={value} transform={`translate(0,${y(value)})`}>
            <line x1={LEFT} x2={width} className="stroke-border" />
            <text x={LEFT - 8} dy="0.32em" textAnchor="end" className="fill-muted">
              {tick(value, measure)}
            </text>
          </g>
        ))}
        {days.map(({ day }, index) => (
          <g key={day} transform={`translate(${x(day)},0)`}>
            {(days.length - 1 - index) % every === 0 && (
              <text
                x={x.bandwidth() / 2}
                y={HEIGHT - 6}
                textAnchor={index === days.length - 1 ? "end" : "middle"}
                dx={index === days.length - 1 ? x.bandwidth() / 2 : 0}
                className="fill-muted"
              >
                {shortDay(day)}
              </text>
            )}
            {series.map((bars) => {
              const [from, to] = bars[index] ?? [0, 0];
              return (
                <rect
                  key={bars.key}
                  y={y(to)}
                  width={x.bandwidth()}
                  height={y(from) - y(to)}
                  className={BAR_FILLS[bars.key]}
                />
              );
            })}
            <rect
              x={(x.bandwidth() - x.step()) / 2}
              y={TOP}
              width={x.step()}
              height={HEIGHT - FOOT - TOP}
              className={day === shown ? "fill-foreground/5" : "fill-transparent"}
              onPointerEnter={() => show(day)}
            />
          </g>
        ))}
      </svg>
      {note && (
        <div
          className="pointer-events-none absolute top-2 z-10"
          style={{ left: Math.max(0, Math.min(middle - NOTE_WIDTH / 2, width - NOTE_WIDTH)) }}
        >
          <DayNote day={note} measure={measure} />
        </div>
      )}
    </div>
  );
}

/** How wide the chart may be, as the page changes. */
function useWidth() {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const measured = box.current;
    if (!measured) return;
    setWidth(measured.clientWidth);
    const observer = new ResizeObserver(() => setWidth(measured.clientWidth));
    observer.observe(measured);
    return () => observer.disconnect();
  }, []);
  return { box, width: Math.max(width, LEFT + 1) };
}

function DayNote({ day, measure }: { day: DailyTotals; measure: Measure }) {
  return (
    <div className="w-56 rounded-lg border border-border bg-surface p-3 text-xs shadow-lg">
      <p className="mb-1.5 font-semibold">{LONG_DAY.format(moment(day.day))}</p>
      <ul className="space-y-1">
        {SETTLED_STATUSES.map((status) => (
          <li key={status} className="flex justify-between gap-6">
            <span className="text-muted">{statusLabel(status)}</span>
            <span className="tabular-nums">{figure(day[status], measure)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
