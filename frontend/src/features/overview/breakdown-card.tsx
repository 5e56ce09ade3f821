import { Link } from "@tanstack/react-router";
import { Card } from "../../components/card";
import { formatMoney } from "../../lib/money";
import { typeLabel } from "../payments/labels";
import { ColumnHeaders } from "./column-headers";
import { NUMBER_CELL, ROW_HEADER } from "./table-classes";
import { breakdown, formatRate, type Total } from "./totals";

const COLUMNS = ["Type", "Settled", "Success rate", "Completed volume"];

/** Totals by payment type and currency. */
export function BreakdownCard({ rows }: { rows: readonly Total[] }) {
  return (
    <Card title="Debits by type and currency">
      <div className="overflow-x-auto">
        <table className="w-full text-sm">
          <ColumnHeaders columns={COLUMNS} />
          <tbody className="divide-y divide-border">
            {breakdown(rows).map(({ type, currency, summary }) => (
              <tr key={type + currency}>
                <th scope="row" className={ROW_HEADER}>
                  <Link to="/payments" search={{ type, currency }} className="hover:underline">
                    {typeLabel(type)} <span className="font-normal text-muted">{currency}</span>
                  </Link>
                </th>
                <td className={NUMBER_CELL}>{summary.settled.toLocaleString()}</td>
                <td className={NUMBER_CELL}>{formatRate(summary.successRate)}</td>
                <td className={NUMBER_CELL}>
                  {formatMoney(summary.volume[currency] ?? 0, currency)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
