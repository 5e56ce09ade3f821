import { type ScaleLinear, scaleBand, scaleLinear } from "d3-scale";
import { stack } from "d3-shape";
import { useLayoutEffect, useRef, useState } from "react";
import { formatMoney } from "../../lib/money";
import { statusLabel } from "../payments/labels";
import { type DailyTotals, type Measure, SETTLED_STATUSES, type SettledStatus } from "./totals";

/** Class names, because the Content-Security-Policy blocks inline styles. */
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
const midnight = (day: string) => new Date(`${day}T00:00:00Z`);
export const shortDay = (day: string) => SHORT_DAY.format(midnight(day));

export const formatValue = (value: number, measure: Measure) =>
  measure === "count" ? value.toLocaleString() : formatMoney(value, measure);
const formatTick = (value: number, measure: Measure) =>
  new Intl.NumberFormat(undefined, {
    notation: "compact",
    ...(measure !== "count" && { style: "currency", currency: measure }),
  }).format(value);

const HEIGHT = 280;
const MARGIN_TOP = 8;
const MARGIN_BOTTOM = 24;
const MARGIN_LEFT = 60;
const LABEL_WIDTH = 64;
const TOOLTIP_WIDTH = 224;

/** One bar for each day, stacked by status, with a tooltip. */
export function DailyChart({ days, measure }: { days: readonly DailyTotals[]; measure: Measure }) {
  const { containerRef, width } = useContainerWidth();
  const [hoveredDay, setHoveredDay] = useState<string>();
  const x = scaleBand(
    days.map(({ day }) => day),
    [MARGIN_LEFT, width],
  ).padding(0.25);
  const series = stack<DailyTotals, SettledStatus>().keys(SETTLED_STATUSES)(days);
  const highest = Math.max(...series.flatMap((bars) => bars.map(([, top]) => top)), 1);
  const y = scaleLinear([0, highest], [HEIGHT - MARGIN_BOTTOM, MARGIN_TOP]).nice(4);
  const daysPerLabel = Math.ceil(LABEL_WIDTH / Math.max(x.step(), 1));
  const hovered = days.find(({ day }) => day === hoveredDay);
  const centre = hovered ? (x(hovered.day) ?? 0) + x.bandwidth() / 2 : 0;
  return (
    <div ref={containerRef} className="relative" onPointerLeave={() => setHoveredDay(undefined)}>
      <svg width={width} height={HEIGHT} aria-hidden="true" className="block text-xs">
        <GridLines y={y} width={width} measure={measure} />
        {days.map(({ day }, index) => {
          const daysBeforeLast = days.length - 1 - index;
          return (
            <g key={day} transform={`translate(${x(day)},0)`}>
              {daysBeforeLast % daysPerLabel === 0 && (
                <DayLabel day={day} barWidth={x.bandwidth()} isLast={daysBeforeLast === 0} />
              )}
              {series.map((bars) => {
                const [bottom, top] = bars[index] ?? [0, 0];
                return (
                  <rect
                    key={bars.key}
                    y={y(top)}
                    width={x.bandwidth()}
                    height={y(bottom) - y(top)}
                    className={BAR_FILLS[bars.key]}
                  />
                );
              })}
              <rect
                x={(x.bandwidth() - x.step()) / 2}
                y={MARGIN_TOP}
                width={x.step()}
                height={HEIGHT - MARGIN_BOTTOM - MARGIN_TOP}
                className={day === hoveredDay ? "fill-foreground/5" : "fill-transparent"}
                onPointerEnter={() => setHoveredDay(day)}
              />
            </g>
          );
        })}
      </svg>
      {hovered && <Tooltip totals={hovered} measure={measure} centre={centre} chartWidth={width} />}
    </div>
  );
}

function GridLines({
  y,
  width,
  measure,
}: {
  y: ScaleLinear<number, number>;
  width: number;
  measure: Measure;
}) {
  const ticks = y.ticks(4).filter((value) => measure !== "count" || Number.isInteger(value));
  return ticks.map((value) => (
    <g key={value} transform={`translate(0,${y(value)})`}>
      <line x1={MARGIN_LEFT} x2={width} className="stroke-border" />
      <text x={MARGIN_LEFT - 8} dy="0.32em" textAnchor="end" className="fill-muted">
        {formatTick(value, measure)}
      </text>
    </g>
  ));
}

/** The last label ends at its bar, so that the chart does not cut it off. */
function DayLabel({ day, barWidth, isLast }: { day: string; barWidth: number; isLast: boolean }) {
  return (
    <text
      x={isLast ? barWidth : barWidth / 2}
      y={HEIGHT - 6}
      textAnchor={isLast ? "end" : "middle"}
      className="fill-muted"
    >
      {shortDay(day)}
    </text>
  );
}

function useContainerWidth() {
  const containerRef = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const container = containerRef.current;
    if (!container) return;
    setWidth(container.clientWidth);
    const observer = new ResizeObserver(() => setWidth(container.clientWidth));
    observer.observe(container);
    return () => observer.disconnect();
  }, []);
  return { containerRef, width: Math.max(width, MARGIN_LEFT + 1) };
}

function Tooltip({
  totals,
  measure,
  centre,
  chartWidth,
}: {
  totals: DailyTotals;
  measure: Measure;
  centre: number;
  chartWidth: number;
}) {
  const left = Math.max(0, Math.min(centre - TOOLTIP_WIDTH / 2, chartWidth - TOOLTIP_WIDTH));
  return (
    <div
      className="pointer-events-none absolute top-2 z-10 w-56 rounded-lg border border-border bg-surface p-3 text-xs shadow-lg"
      style={{ left }}
    >
      <p className="mb-1.5 font-semibold">{LONG_DAY.format(midnight(totals.day))}</p>
      <ul className="space-y-1">
        {SETTLED_STATUSES.map((status) => (
          <li key={status} className="flex justify-between gap-6">
            <span className="text-muted">{statusLabel(status)}</span>
            <span className="tabular-nums">{formatValue(totals[status], measure)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
