import type { Export } from "./queries";

const FAILURES: Record<NonNullable<Export["failure_reason"]>, string> = {
  no_progress: "It was stopped again and again and got no further. Try it again.",
  too_large: "It is too large for one file. Export a shorter time.",
  upload_lost: "What was stored of it is gone. Try it again.",
};

export const failureLabel = ({ failure_reason: reason }: Export) =>
  reason ? FAILURES[reason] : "";

export const rowsLabel = (count: number) =>
  count === 1 ? "1 row" : `${count.toLocaleString()} rows`;

/** A size in bytes, in the unit that leaves at most four digits. */
export function sizeLabel(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const [value, unit] = bytes < 1e6 ? [bytes / 1e3, "KB"] : [bytes / 1e6, "MB"];
  return `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
}

/** The filters and the layout of an export, as one line. */
export function contentsLabel({ resource, filters, layout }: Export): string {
  const { created_from: from, created_to: to, ...named } = filters;
  const parts: (string | null | undefined)[] = Object.values(named);
  const day = (at: string) => new Date(at).toLocaleDateString(undefined, { dateStyle: "medium" });
  if (from) parts.push(`from ${day(from)}`);
  if (to) parts.push(`to ${day(to)}`);
  const chosen = parts.filter(Boolean).join(", ");
  const rows = resource.charAt(0).toUpperCase() + resource.slice(1);
  const format = layout.format === "csv" ? "CSV" : "JSON Lines";
  return `${chosen ? `${rows}: ${chosen}` : `All ${resource}`} · ${format}`;
}
