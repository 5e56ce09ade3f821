import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { components } from "../../api/schema";
import { BUTTON_VARIANTS } from "../../components/button";
import { EmptyState } from "../../components/empty-state";
import { ErrorAlert } from "../../components/error-alert";
import { PageTitle } from "../../components/page-title";
import { BreakdownCard } from "./breakdown-card";
import { DailyCard } from "./daily-card";
import { shortDay } from "./daily-chart";
import { HealthCard } from "./health-card";
import { MoneyCard } from "./money-card";
import { DEFAULT_RANGE, RANGES, type Range } from "./overview-search";
import { statsQuery } from "./queries";
import { SummaryTiles } from "./summary-tiles";

const route = getRouteApi("/");

export function OverviewPage() {
  const { days = DEFAULT_RANGE } = route.useSearch();
  const { data, error, refetch, isPlaceholderData } = useQuery(statsQuery(days));
  return (
    <>
      <PageTitle title="Overview" actions={<RangePicker selected={days} />} />
      {error && (
        <div className="mb-4">
          <ErrorAlert error={error} retry={() => refetch()} />
        </div>
      )}
      {data ? (
        <div aria-busy={isPlaceholderData} className={isPlaceholderData ? "opacity-60" : ""}>
          <Statistics stats={data} />
        </div>
      ) : error ? (
        <HealthCard />
      ) : (
        <Skeleton />
      )}
    </>
  );
}

function RangePicker({ selected }: { selected: Range }) {
  return (
    <nav aria-label="Time range" className="flex rounded-lg bg-raised p-0.5 text-sm">
      {RANGES.map((days) => (
        <Link
          key={days}
          to="/"
          search={days === DEFAULT_RANGE ? {} : { days }}
          aria-current={days === selected ? "page" : undefined}
          className={`rounded-md px-3 py-1.5 font-medium ${
            days === selected
              ? "bg-surface text-foreground shadow-sm"
              : "text-muted hover:text-foreground"
          }`}
        >
          {days} days
        </Link>
      ))}
    </nav>
  );
}

function Statistics({ stats }: { stats: components["schemas"]["Stats"] }) {
  return (
    <div className="space-y-5">
      <p className="text-sm text-muted">
        Payments created from {shortDay(stats.from)} to {shortDay(stats.to)}. Days are in UTC.
      </p>
      <SummaryTiles stats={stats} />
      <div className="grid gap-5 xl:grid-cols-[1fr_19rem]">
        <div className="min-w-0 space-y-5">
          {stats.summary.length > 0 ? (
            <>
              <MoneyCard stats={stats} />
              {stats.rows.length > 0 && (
                <>
                  <DailyCard stats={stats} />
                  <BreakdownCard rows={stats.rows} />
                </>
              )}
            </>
          ) : (
            <EmptyState
              title="No settled payments in this period"
              hint="Payments appear here as soon as they settle."
              action={
                <Link to="/payments/new" className={BUTTON_VARIANTS.primary}>
                  Create payment
                </Link>
              }
            />
          )}
        </div>
        <HealthCard />
      </div>
    </div>
  );
}

function Skeleton() {
  return (
    <div className="space-y-5">
      <p role="status" className="text-sm text-muted">
        Loading statistics…
      </p>
      <div className="grid gap-3 sm:grid-cols-3">
        {["a", "b", "c"].map((tile) => (
          <div key={tile} className="h-28 animate-pulse rounded-xl bg-raised" />
        ))}
      </div>
      <div className="grid gap-5 xl:grid-cols-[1fr_19rem]">
        <div className="h-80 animate-pulse rounded-xl bg-raised" />
        <HealthCard />
      </div>
    </div>
  );
}
