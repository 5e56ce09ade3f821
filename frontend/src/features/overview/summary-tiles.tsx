import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { components } from "../../api/schema";
import { formatRate, summarize } from "./totals";

/** The key figures of the period. */
export function SummaryTiles({ stats }: { stats: components["schemas"]["Stats"] }) {
  const { settled, successRate } = summarize(stats.rows);
  return (
    <dl className="grid gap-3 sm:grid-cols-3">
      <Tile name="Settled" note="Debits with a final outcome">
        {settled.toLocaleString()}
      </Tile>
      <Tile name="Success rate" note="Of debits, without canceled ones">
        {formatRate(successRate)}
      </Tile>
      <Tile name="Processing" note="Debits and credits, approximate">
        <Link to="/payments" search={{ status: "processing" }} className="hover:underline">
          {stats.processing.count.toLocaleString()}
        </Link>
      </Tile>
    </dl>
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
