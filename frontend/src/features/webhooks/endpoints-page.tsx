import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Button } from "../../components/button";
import { EmptyState } from "../../components/empty-state";
import { ErrorAlert } from "../../components/error-alert";
import { PageTitle } from "../../components/page-title";
import { Time } from "../../components/time";
import { EndpointBadge } from "./badges";
import { CreateEndpointDialog } from "./endpoint-dialogs";
import { subscriptionLabel } from "./labels";
import { type Endpoint, endpointsQuery } from "./queries";

const MAX_ENDPOINTS = 10;

export function EndpointsPage() {
  const { data, error, refetch, isPending } = useQuery(endpointsQuery);
  const [dialog, setDialog] = useState<ReactNode>();
  const endpoints = data?.webhook_endpoints;
  return (
    <>
      <PageTitle
        title="Webhooks"
        actions={
          <Button
            disabled={endpoints !== undefined && endpoints.length >= MAX_ENDPOINTS}
            onClick={() => setDialog(<CreateEndpointDialog onClose={() => setDialog(undefined)} />)}
          >
            <Plus className="size-4" aria-hidden="true" />
            New endpoint
          </Button>
        }
      />
      <p className="mb-4 max-w-3xl text-sm text-muted">
        PayFlow sends the outcome of every payment and refund to these endpoints. Each webhook is
        signed (Standard Webhooks) and retried for three days. You can have up to {MAX_ENDPOINTS}{" "}
        endpoints.
      </p>
      {error && <ErrorAlert error={error} retry={() => refetch()} />}
      {isPending && <p role="status">Loading endpoints…</p>}
      {endpoints?.length === 0 && (
        <EmptyState
          title="No endpoints yet"
          hint="Create one to be notified when a payment or refund settles."
        />
      )}
      <ul className="space-y-3">
        {endpoints?.map((endpoint) => (
          <EndpointRow key={endpoint.id} endpoint={endpoint} />
        ))}
      </ul>
      {dialog}
    </>
  );
}

function EndpointRow({ endpoint }: { endpoint: Endpoint }) {
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
        <p className="text-xs text-muted">{subscriptionLabel(endpoint)}</p>
      </div>
      <EndpointBadge endpoint={endpoint} />
      <p className="text-xs text-muted">
        Created <Time at={endpoint.created_at} />
      </p>
    </li>
  );
}
