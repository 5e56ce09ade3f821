import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Button } from "../../components/button";
import { ErrorAlert } from "../../components/error-alert";
import { PageTitle } from "../../components/page-title";
import { Time } from "../../components/time";
import { EnabledBadge } from "./badges";
import { CreateDialog } from "./endpoint-dialogs";
import { type Endpoint, endpointsQuery } from "./queries";

const MOST = 10;

export function EndpointsPage() {
  const { data, error, refetch, isPending } = useQuery(endpointsQuery);
  const [dialog, open] = useState<ReactNode>();
  const endpoints = data?.webhook_endpoints;
  return (
    <>
      <PageTitle
        title="Webhooks"
        actions={
          <Button
            disabled={endpoints !== undefined && endpoints.length >= MOST}
            onClick={() => open(<CreateDialog close={() => open(undefined)} />)}
          >
            <Plus className="size-4" aria-hidden="true" />
            New endpoint
          </Button>
        }
      />
      <p className="mb-4 max-w-3xl text-sm text-muted">
        Every outcome of a payment or refund is sent to these endpoints, signed by Standard
        Webhooks, and tried again for three days if need be. There can be {MOST}.
      </p>
      {error && <ErrorAlert error={error} retry={() => refetch()} />}
      {isPending && <p role="status">Loading the endpoints…</p>}
      {endpoints?.length === 0 && (
        <p className="rounded-xl border border-dashed border-border p-10 text-center text-muted">
          There is no endpoint yet: nobody is told of anything.
        </p>
      )}
      <ul className="space-y-3">
        {endpoints?.map((endpoint) => (
          <One key={endpoint.id} endpoint={endpoint} />
        ))}
      </ul>
      {dialog}
    </>
  );
}

function One({ endpoint }: { endpoint: Endpoint }) {
  return (
    <li className="relative flex flex-wrap items-center gap-x-6 gap-y-2 rounded-xl border border-border bg-surface p-4 hover:bg-raised/60">
      <div className="min-w-0 flex-1 basis-64">
        <Link
          to="/webhooks/$id"
          params={{ id: endpoint.id }}
          className="font-medium break-all after:absolute after:inset-0"
        >
          {endpoint.url}
        </Link>
        {endpoint.description && <p className="text-sm text-muted">{endpoint.description}</p>}
        <p className="text-xs text-muted">
          {endpoint.events.includes("*") ? "Everything" : endpoint.events.join(", ")}
        </p>
      </div>
      <EnabledBadge endpoint={endpoint} />
      <p className="text-xs text-muted">
        Created <Time at={endpoint.created_at} />
      </p>
    </li>
  );
}
