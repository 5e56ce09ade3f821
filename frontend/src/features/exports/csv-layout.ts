import type { components } from "../../api/schema";

type Layout = Required<
  Pick<components["schemas"]["CreateExport"], "separator" | "decimal_sign" | "time_zone">
>;

/**
 * How the viewer's spreadsheet separates cells, writes decimals and shows times.
 *
 * Where decimals have a comma, as in French Canada, spreadsheets separate cells by semicolons.
 */
export function csvLayout(locale?: string): Layout {
  const parts = new Intl.NumberFormat(locale).formatToParts(1.5);
  const usesComma = parts.some(({ type, value }) => type === "decimal" && value === ",");
  const { timeZone } = new Intl.DateTimeFormat(locale).resolvedOptions();
  return usesComma
    ? { separator: ";", decimal_sign: ",", time_zone: timeZone }
    : { separator: ",", decimal_sign: ".", time_zone: timeZone };
}
