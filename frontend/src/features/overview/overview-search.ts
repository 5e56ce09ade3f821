export const RANGES = [7, 30, 90] as const;
export type Range = (typeof RANGES)[number];
type OverviewSearch = { days?: Range };

export const DEFAULT_RANGE: Range = 30;

/** Parse the URL's search parameters. Drops invalid values and the default. */
export function parseOverviewSearch(params: Record<string, unknown>): OverviewSearch {
  const days = RANGES.find((range) => range === params.days);
  return days && days !== DEFAULT_RANGE ? { days } : {};
}

/** The last `count` UTC days, including today. */
export function lastDays(count: number, now = new Date()): { from: string; to: string } {
  const first = new Date(now);
  first.setUTCDate(first.getUTCDate() - count + 1);
  return { from: first.toISOString().slice(0, 10), to: now.toISOString().slice(0, 10) };
}
