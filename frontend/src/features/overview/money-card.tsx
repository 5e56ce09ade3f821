import { Link } from "@tanstack/react-router";
import type { components } from "../../api/schema";
import { Card } from "../../components/card";
import { formatMoney } from "../../lib/money";
import { ColumnHeaders } from "./column-headers";
import { NUMBER_CELL, ROW_HEADER } from "./table-classes";

type Stats = components["schemas"]["Stats"];

const FIGURES = [
  ["gross", "Gross", "Debits that completed"],
  ["returned", "Returned", "What banks took back since"],
  ["refunded", "Refunded", "Refunds that completed"],
  ["net", "Net", "Gross less returned and refunded"],
  ["credits", "Credits", "Paid out, in no other figure"],
] as const;

/** What the payments of the period brought, by currency. */
export function MoneyCard({ stats: { summary, incomplete } }: { stats: Stats }) {
  return (
    <Card title="Money">
      <div className="overflow-x-auto">
        <table className="w-full text-sm">
          <ColumnHeaders columns={["Figure", ...summary.map(({ currency }) => currency)]} />
          <tbody className="divide-y divide-border">
            {FIGURES.map(([figure, label, hint]) => (
              <tr key={figure} className={figure === "net" ? "font-semibold" : ""}>
                <th scope="row" className={ROW_HEADER}>
                  {figure === "refunded" ? (
                    <Link
                      to="/refunds"
                      search={{ status: "completed" }}
                      className="text-accent hover:underline"
                    >
                      {label}
                    </Link>
                  ) : (
                    label
                  )}
                  <span className="block text-xs font-normal whitespace-normal text-muted">
                    {hint}
                  </span>
                </th>
                {summary.map((sums) => (
                  <td key={sums.currency} className={NUMBER_CELL}>
                    {formatMoney(sums[figure], sums.currency)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {incomplete && (
        <p className="px-4 py-3 text-xs text-muted">
          Incomplete: some payments that a version before 0.1 settled were never counted.
        </p>
      )}
    </Card>
  );
}
