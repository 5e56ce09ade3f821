import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { Pause, Play, Search } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import type { components } from "../../api/schema";
import { Button } from "../../components/button";
import { CopyButton } from "../../components/copy-button";
import { EmptyState } from "../../components/empty-state";
import { ErrorAlert } from "../../components/error-alert";
import { inputClass } from "../../components/field";
import { KeyName } from "../../components/key-name";
import { PageTitle } from "../../components/page-title";
import { Time } from "../../components/time";
import { type LogsSearch, STATUS_CLASSES } from "./logs-search";
import { LogsTabs } from "./logs-tabs";
import { logsQuery } from "./queries";

type LoggedRequest = components["schemas"]["LoggedRequest"];

const route = getRouteApi("/logs");

export function LogsPage() {
  const search = route.useSearch();
  const [isLive, setLive] = useState(true);
  const { data, error, refetch, isPending } = useQuery(logsQuery(search, isLive));
  const isFiltered = Object.keys(search).length > 0;
  return (
    <>
      <PageTitle
        title="Logs"
        actions={
          <Button onClick={() => setLive(!isLive)}>
            {isLive ? (
              <Pause className="size-4" aria-hidden="true" />
            ) : (
              <Play className="size-4" aria-hidden="true" />
            )}
            {isLive ? "Pause" : "Resume"}
          </Button>
        }
      />
      <LogsTabs />
      <p className="mb-4 max-w-3xl text-sm text-muted">
        The 200 most recent API requests of the last hour, including requests from this dashboard.
        New requests can take a few seconds to appear.
      </p>
      <LogFilters key={search.path ?? ""} search={search} />
      {error && (
        <div className="mb-4">
          <ErrorAlert error={error} retry={() => refetch()} />
        </div>
      )}
      {isPending && <p role="status">Loading logs…</p>}
      {data && !data.complete && (
        <p role="status" className="mb-4 max-w-3xl text-sm">
          Some requests of the last hour are missing: CloudWatch was too slow or too busy. Wait some
          seconds, or narrow the filter.
        </p>
      )}
      {data?.complete && data.logs.length === 0 && (
        <EmptyState title={`No ${isFiltered ? "matching " : ""}requests in the last hour`} />
      )}
      {data && data.logs.length > 0 && <LogTable logs={data.logs} />}
    </>
  );
}

function LogFilters({ search }: { search: LogsSearch }) {
  const navigate = useNavigate({ from: "/logs" });
  const pathId = useId();
  const filterByPath = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const path = String(new FormData(event.currentTarget).get("path")).trim();
    const { path: _, ...rest } = search;
    void navigate({ search: path ? { ...rest, path } : rest });
  };
  const filterByStatus = (status: string) => {
    const { status: _, ...rest } = search;
    void navigate({ search: status ? { ...rest, status } : rest });
  };
  // The URL may name a single status, such as 404.
  const statuses = new Set<string>(STATUS_CLASSES);
  if (search.status) statuses.add(search.status);
  return (
    <search className="mb-4 flex flex-wrap items-end gap-3 text-xs font-medium text-muted">
      <label>
        Status
        <select
          className={`${inputClass()} mt-1 block`}
          value={search.status ?? ""}
          onChange={(event) => filterByStatus(event.target.value)}
        >
          <option value="">All</option>
          {[...statuses].map((status) => (
            <option key={status}>{status}</option>
          ))}
        </select>
      </label>
      <form onSubmit={filterByPath} className="min-w-56 flex-1 sm:max-w-sm">
        <label htmlFor={pathId}>Path contains</label>
        <span className="mt-1 flex gap-1">
          <input
            id={pathId}
            name="path"
            defaultValue={search.path ?? ""}
            placeholder="/v1/payments"
            spellCheck={false}
            autoComplete="off"
            className={`${inputClass()} font-mono`}
          />
          <Button type="submit" aria-label="Apply path filter">
            <Search className="size-4" aria-hidden="true" />
          </Button>
        </span>
      </form>
    </search>
  );
}

const HEADER_CELL = "px-3 py-2.5 text-left text-xs font-medium whitespace-nowrap text-muted";

function LogTable({ logs }: { logs: readonly LoggedRequest[] }) {
  return (
    <div className="overflow-hidden rounded-xl border border-border bg-surface">
      <table className="w-full text-sm">
        <thead className="border-b border-border bg-raised/60">
          <tr>
            <th scope="col" className={HEADER_CELL}>
              Time
            </th>
            <th scope="col" className={HEADER_CELL}>
              Status
            </th>
            <th scope="col" className={HEADER_CELL}>
              Request
            </th>
            <th scope="col" className={`${HEADER_CELL} text-right! max-sm:hidden`}>
              Latency
            </th>
            <th scope="col" className={`${HEADER_CELL} max-lg:hidden`}>
              API key
            </th>
            <th scope="col" className={`${HEADER_CELL} max-lg:hidden`}>
              Request ID
            </th>
          </tr>
        </thead>
        <tbody className="divide-y divide-border">
          {logs.map((request) => (
            <LogRow key={request.request_id} request={request} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function LogRow({ request }: { request: LoggedRequest }) {
  return (
    <tr className="hover:bg-raised/60">
      <td className="px-3 py-2 text-xs whitespace-nowrap text-muted tabular-nums">
        <Time at={request.time} format="clock" />
      </td>
      <td className="px-3 py-2">
        <StatusCode status={request.status} />
      </td>
      <td className="w-full max-w-0 px-3 py-2">
        <RequestPath request={request} />
      </td>
      <td className="px-3 py-2 text-right text-xs whitespace-nowrap tabular-nums max-sm:hidden">
        {request.latency_ms.toLocaleString()} ms
      </td>
      <td className="max-w-52 px-3 py-2 text-xs break-words max-lg:hidden">
        {request.key ? (
          <KeyName name={request.key} id={request.key_id ?? null} />
        ) : (
          <span className="text-muted">None</span>
        )}
      </td>
      <td className="px-3 py-1 max-lg:hidden">
        <span className="flex items-center gap-1 font-mono text-xs text-muted">
          {request.request_id.slice(0, 8)}…
          <CopyButton text={request.request_id} label="request ID" />
        </span>
      </td>
    </tr>
  );
}

const STATUS_COLOURS: Record<number, string> = {
  2: "bg-success-subtle text-success",
  4: "bg-warning-subtle text-warning",
  5: "bg-danger-subtle text-danger",
};

function StatusCode({ status }: { status: number }) {
  const colours = STATUS_COLOURS[Math.floor(status / 100)] ?? "bg-neutral-subtle text-neutral";
  return <span className={`rounded-md px-1.5 py-0.5 font-mono text-xs ${colours}`}>{status}</span>;
}

function RequestPath({ request: { method, path, payment_id: id } }: { request: LoggedRequest }) {
  return (
    <span className="block truncate font-mono text-xs">
      <span className="font-semibold">{method}</span>{" "}
      {id ? (
        <Link to="/payments/$id" params={{ id }} className="text-accent hover:underline">
          {path.includes(id) ? path : `${path} → ${id}`}
        </Link>
      ) : (
        path
      )}
    </span>
  );
}
