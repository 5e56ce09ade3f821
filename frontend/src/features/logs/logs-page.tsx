import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { Pause, Play, Search } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import type { components } from "../../api/schema";
import { Button } from "../../components/button";
import { CopyButton } from "../../components/copy-button";
import { ErrorAlert } from "../../components/error-alert";
import { inputClass } from "../../components/field";
import { PageTitle } from "../../components/page-title";
import { ClockTime } from "../../components/time";
import { CLASSES, type LogsSearch } from "./logs-search";
import { logsQuery } from "./queries";

type Logged = components["schemas"]["LoggedRequest"];

const route = getRouteApi("/logs");

export function LogsPage() {
  const search = route.useSearch();
  const [isLive, setLive] = useState(true);
  const { data, error, refetch, isPending } = useQuery(logsQuery(search, isLive));
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
            {isLive ? "Pause" : "Go on"}
          </Button>
        }
      />
      <p className="mb-4 max-w-3xl text-sm text-muted">
        The newest 200 requests that the API answered in the last hour, this page's own among them.
        CloudWatch shows a request some seconds after its answer.
      </p>
      <Filters key={search.path ?? ""} search={search} />
      {error && (
        <div className="mb-4">
          <ErrorAlert error={error} retry={() => refetch()} />
        </div>
      )}
      {isPending && <p role="status">Loading the log…</p>}
      {data && data.logs.length === 0 && (
        <p className="rounded-xl border border-dashed border-border p-10 text-center text-muted">
          {Object.keys(search).length > 0
            ? "No request of the last hour is of this kind."
            : "There was no request in the last hour."}
        </p>
      )}
      {data && data.logs.length > 0 && <Table logs={data.logs} />}
    </>
  );
}

function Filters({ search }: { search: LogsSearch }) {
  const navigate = useNavigate({ from: "/logs" });
  const id = useId();
  const narrow = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const path = String(new FormData(event.currentTarget).get("path")).trim();
    const { path: _, ...rest } = search;
    void navigate({ search: path ? { ...rest, path } : rest });
  };
  const choose = (status: string) => {
    const { status: _, ...rest } = search;
    void navigate({ search: status ? { ...rest, status } : rest });
  };
  const chosen = search.status ?? "";
  const own = chosen && !CLASSES.some((one) => one === chosen) ? [chosen] : [];
  return (
    <search className="mb-4 flex flex-wrap items-end gap-3 text-xs font-medium text-muted">
      <label>
        Status
        <select
          className={`${inputClass()} mt-1 block`}
          value={chosen}
          onChange={(event) => choose(event.target.value)}
        >
          <option value="">All</option>
          {[...CLASSES, ...own].map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      <form onSubmit={narrow} className="min-w-56 flex-1 sm:max-w-sm">
        <label htmlFor={id}>Path contains</label>
        <span className="mt-1 flex gap-1">
          <input
            id={id}
            name="path"
            defaultValue={search.path ?? ""}
            placeholder="/v1/payments"
            maxLength={200}
            spellCheck={false}
            autoComplete="off"
            className={`${inputClass()} font-mono`}
          />
          <Button type="submit" aria-label="Narrow">
            <Search className="size-4" aria-hidden="true" />
          </Button>
        </span>
      </form>
    </search>
  );
}

const HEAD = "px-3 py-2.5 text-left text-xs font-medium text-muted";

function Table({ logs }: { logs: readonly Logged[] }) {
  return (
    <div className="overflow-hidden rounded-xl border border-border bg-surface">
      <table className="w-full text-sm">
        <thead className="border-b border-border bg-raised/60">
          <tr>
            <th scope="col" className={HEAD}>
              Time
            </th>
            <th scope="col" className={HEAD}>
              Status
            </th>
            <th scope="col" className={HEAD}>
              Request
            </th>
            <th scope="col" className={`${HEAD} text-right! max-sm:hidden`}>
              Latency
            </th>
            <th scope="col" className={`${HEAD} max-lg:hidden`}>
              Key
            </th>
            <th scope="col" className={`${HEAD} max-lg:hidden`}>
              Request id
            </th>
          </tr>
        </thead>
        <tbody className="divide-y divide-border">
          {logs.map((one) => (
            <tr key={one.request_id} className="hover:bg-raised/60">
              <td className="px-3 py-2 text-xs whitespace-nowrap text-muted tabular-nums">
                <ClockTime at={one.time} />
              </td>
              <td className="px-3 py-2">
                <Code status={one.status} />
              </td>
              <td className="w-full max-w-0 px-3 py-2">
                <Request logged={one} />
              </td>
              <td className="px-3 py-2 text-right text-xs whitespace-nowrap tabular-nums max-sm:hidden">
                {one.latency_ms.toLocaleString()} ms
              </td>
              <td className="max-w-40 truncate px-3 py-2 text-xs max-lg:hidden">
                {one.key ?? <span className="text-muted">none</span>}
              </td>
              <td className="px-3 py-1 max-lg:hidden">
                <span className="flex items-center gap-1 font-mono text-xs text-muted">
                  {one.request_id.slice(0, 8)}…
                  <CopyButton text={one.request_id} what="the request id" />
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const GROUNDS: Record<number, string> = {
  2: "bg-success-subtle text-success",
  4: "bg-warning-subtle text-warning",
  5: "bg-danger-subtle text-danger",
};

function Code({ status }: { status: number }) {
  const look = GROUNDS[Math.floor(status / 100)] ?? "bg-neutral-subtle text-neutral";
  return <span className={`rounded-md px-1.5 py-0.5 font-mono text-xs ${look}`}>{status}</span>;
}

function Request({ logged: { method, path, payment_id: id } }: { logged: Logged }) {
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
