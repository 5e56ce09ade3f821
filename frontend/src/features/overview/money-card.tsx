import type { components } from "../../api/schema";
import { Card } from "../../components/card";
import { formatMoney } from "../../lib/money";
import { COLUMN_HEADER, NUMBER_CELL, ROW_HEADER } from "./table-classes";

type Sums = components["schemas"]["Sums"];

const COLUMNS = ["gross", "returned", "refunded", "net", "credits"] as const;
const HEADERS: Record<(typeof COLUMNS)[number], string> = {
  gross: "Gross",
  returned: "Returned",
  refunded: "Refunded",
  net: "Net",
  credits: "Credits",
};

/** What the payments of the period brought, by currency. */
export function MoneyCard({ summary }: { summary: readonly Sums[] }) {
  return (
    <Card title="Money">
      <div className="overflow-x-auto">
        <table className="w-full text-sm">
          <thead className="border-b border-border">
            <tr>
              <th scope="col" className={COLUMN_HEADER}>
                Currency
              </th>
              {COLUMNS.map((column) => (
                <th key={column} scope="col" className={COLUMN_HEADER}>
                  {HEADERS[column]}
                </th>
              ))}
            </tr>
          </thead>
          <tbody className="divide-y divide-border">
            {summary.map((sums) => (
              <tr key={sums.currency}>
                <th scope="row" className={ROW_HEADER}>
                  {sums.currency}
                </th>
                {COLUMNS.map((column) => (
                  <td
                    key={column}
                    className={`${NUMBER_CELL} ${column === "net" ? "font-semibold" : ""}`}
                  >
                    {formatMoney(sums[column], sums.currency)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="px-4 py-3 text-xs text-muted">
        Net is gross less what banks took back and what was refunded. Credits were paid out, and are
        in no other figure.
      </p>
    </Card>
  );
}
