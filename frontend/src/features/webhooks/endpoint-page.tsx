import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Info } from "lucide-react";
import { BackLink } from "../../components/back-link";
import { Button } from "../../components/button";
import { ErrorAlert } from "../../components/error-alert";
import { PageTitle } from "../../components/page-title";
import { useAction } from "../../hooks/use-action";
import { DeliveriesCard } from "./deliveries-card";
import { EndpointCard } from "./endpoint-card";
import { disabledReasonLabel } from "./labels";
import {
  type Endpoint,
  endpointsQuery,
  sendTestEvent,
  setEndpointEnabled,
  WEBHOOKS_KEY,
} from "./queries";

const route = getRouteApi("/webhooks/$id");

export function EndpointPage() {
  const { id } = route.useParams();
  const { data, error, refetch } = useQuery(endpointsQuery);
  const endpoint = data?.webhook_endpoints.find((candidate) => candidate.id === id);
  return (
    <>
      <BackLink to="/webhooks">Webhooks</BackLink>
      {error && <ErrorAlert error={error} retry={() => refetch()} />}
      {endpoint ? (
        <EndpointDetails endpoint={endpoint} />
      ) : (
        <PageTitle title={data ? "Endpoint not found" : "Endpoint"} />
      )}
      {!data && !error && <p role="status">Loading endpoint…</p>}
    </>
  );
}

function EndpointDetails({ endpoint }: { endpoint: Endpoint }) {
  const test = useAction(() => sendTestEvent(endpoint.id), WEBHOOKS_KEY);
  const setEnabled = useAction(
    (enabled: boolean) => setEndpointEnabled(endpoint.id, enabled),
    WEBHOOKS_KEY,
  );
  const error = test.error ?? setEnabled.error;
  return (
    <>
      <PageTitle
        title={endpoint.url}
        actions={
          <Button
            disabled={!endpoint.enabled || test.isPending}
            onClick={() => test.run(undefined)}
          >
            Send test event
          </Button>
        }
      >
        <span className="text-xl break-all">{endpoint.url}</span>
      </PageTitle>
      {error && (
        <div className="mb-4">
          <ErrorAlert error={error} />
        </div>
      )}
      {!endpoint.enabled && (
        <div
          role="alert"
          className="mb-5 flex flex-wrap items-center gap-3 rounded-xl border border-danger/40 bg-danger-subtle p-4 text-sm text-danger"
        >
          <Info className="size-4 shrink-0" aria-hidden="true" />
          <p className="flex-1">
            This endpoint is disabled and receives no webhooks. {disabledReasonLabel(endpoint)} You
            can replay failed deliveries after you enable it.
          </p>
          <Button disabled={setEnabled.isPending} onClick={() => setEnabled.run(true)}>
            Enable
          </Button>
        </div>
      )}
      <div className="grid gap-5 lg:grid-cols-[1fr_20rem]">
        <DeliveriesCard endpoint={endpoint} />
        <EndpointCard endpoint={endpoint} setEnabled={setEnabled} />
      </div>
    </>
  );
}
