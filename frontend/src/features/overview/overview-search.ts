export const RANGES = [7, 30, 90] as const;
export type Range = (typeof RANGES)[number];
export type OverviewSearch = { days?: Range };

export const DEFAULT_RANGE: Range = 30;

/** An address may say anything: what means nothing is left out. */
export function parseOverviewSearch(said: Record<string, unknown>): OverviewSearch {
  const days = RANGES.find((one) => one === said.days);
  return days && days !== DEFAULT_RANGE ? { days } : {};
}

/** The last so many UTC days, today included. */
export function lastDays(count: number, now = new Date()): { from: string; to: string } {
  const first = new Date(now);
  first.setUTCDate(first.getUTCDate() - count + 1);
  return { from: first.toISOString().slice(0, 10), to: now.toISOString().slice(0, 10) };
}
