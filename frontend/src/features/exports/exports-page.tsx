import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { CircleCheck, CircleX, LoaderCircle } from "lucide-react";
import { BackLink } from "../../components/back-link";
import { Badge, type BadgeProps } from "../../components/badge";
import { BUTTON_VARIANTS, Button } from "../../components/button";
import { EmptyState } from "../../components/empty-state";
import { ErrorAlert } from "../../components/error-alert";
import { KeyName } from "../../components/key-name";
import { PageTitle } from "../../components/page-title";
import { Time } from "../../components/time";
import { DownloadLink } from "./download-link";
import { contentsLabel, failureLabel, rowsLabel, sizeLabel } from "./labels";
import { type Export, exportsQuery } from "./queries";

const STATES: Record<Export["state"], BadgeProps> = {
  processing: { label: "Processing", tone: "warning", icon: LoaderCircle, spinning: true },
  completed: { label: "Completed", tone: "success", icon: CircleCheck },
  failed: { label: "Failed", tone: "danger", icon: CircleX },
};

const route = getRouteApi("/exports");

export function ExportsPage() {
  const { cursor } = route.useSearch();
  const navigate = useNavigate({ from: "/exports" });
  const { data, error, refetch, isPending } = useQuery(exportsQuery(cursor));
  const nextCursor = data?.next_cursor;
  return (
    <>
      <BackLink to="/payments">Payments</BackLink>
      <PageTitle title="Exports" />
      <p className="mb-4 max-w-3xl text-sm text-muted">
        Files stay for seven days. A download link works for 15 minutes, for whoever has it.
      </p>
      {error && (
        <div className="mb-4">
          <ErrorAlert error={error} retry={() => refetch()} />
        </div>
      )}
      {isPending && <p role="status">Loading exports…</p>}
      {data?.exports.length === 0 && (
        <EmptyState
          title={cursor ? "No older exports" : "No exports yet"}
          hint="Export the payments or refunds that a filter shows."
          action={
            <Link to="/payments" className={BUTTON_VARIANTS.primary}>
              Go to payments
            </Link>
          }
        />
      )}
      <ul className="space-y-3">
        {data?.exports.map((one) => (
          <ExportRow key={one.id} of={one} />
        ))}
      </ul>
      {(cursor || nextCursor) && (
        <nav aria-label="Pagination" className="mt-4 flex justify-between">
          <Button disabled={!cursor} onClick={() => navigate({ search: {} })}>
            Newest
          </Button>
          <Button
            disabled={!nextCursor}
            onClick={() => nextCursor && navigate({ search: { cursor: nextCursor } })}
          >
            Older
          </Button>
        </nav>
      )}
    </>
  );
}

function ExportRow({ of }: { of: Export }) {
  return (
    <li className="flex flex-wrap items-center gap-x-6 gap-y-3 rounded-xl border border-border bg-surface p-4">
      <div className="min-w-0 flex-1 basis-60">
        <p className="font-medium break-words">{contentsLabel(of)}</p>
        <p className="text-xs break-words text-muted">
          <Time at={of.created_at} />
          {of.created_by && (
            <>
              {" by "}
              <KeyName name={of.created_by} id={of.created_by_id} />
            </>
          )}
          {" · "}
          <code className="font-mono break-all">{of.id}</code>
        </p>
        {of.state === "failed" && <p className="text-xs text-danger">{failureLabel(of)}</p>}
        {of.unreadable > 0 && (
          <p className="text-xs text-warning">
            {rowsLabel(of.unreadable)} could not be read, and are missing.
          </p>
        )}
      </div>
      <div className="flex flex-wrap items-center gap-4 text-sm">
        <span className="text-muted tabular-nums">
          {rowsLabel(of.rows)}
          {of.state === "completed" && ` · ${sizeLabel(of.size_bytes)}`}
        </span>
        <Badge {...STATES[of.state]} />
        {of.state === "completed" && !of.link ? (
          <span className="text-xs text-muted">Expired</span>
        ) : (
          <DownloadLink of={of} variant="secondary" />
        )}
      </div>
    </li>
  );
}
