import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { ChevronLeft, Info } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Button } from "../../components/button";
import { Card } from "../../components/card";
import { CopyButton } from "../../components/copy-button";
import { ErrorAlert } from "../../components/error-alert";
import { inputClass } from "../../components/field";
import { PageTitle } from "../../components/page-title";
import { Time } from "../../components/time";
import { useAction } from "../../hooks/use-action";
import { deliveryStatusLabel, EnabledBadge } from "./badges";
import { Deliveries } from "./delivery-list";
import { DeleteDialog, EditDialog, ReplayDialog, RotateDialog } from "./endpoint-dialogs";
import { disabledReasonLabel } from "./labels";
import {
  type DeliveryStatus,
  type Endpoint,
  enableEndpoint,
  endpointDeliveriesQuery,
  endpointsQuery,
  sendTest,
  WEBHOOKS,
} from "./queries";

const route = getRouteApi("/webhooks/$id");

export function EndpointPage() {
  const { id } = route.useParams();
  const { data, error, refetch } = useQuery(endpointsQuery);
  const endpoint = data?.webhook_endpoints.find((one) => one.id === id);
  return (
    <>
      <Link
        to="/webhooks"
        className="mb-3 inline-flex items-center gap-1 text-sm text-muted hover:text-foreground"
      >
        <ChevronLeft className="size-4" aria-hidden="true" />
        Webhooks
      </Link>
      {error && <ErrorAlert error={error} retry={() => refetch()} />}
      {endpoint ? (
        <Whole endpoint={endpoint} />
      ) : (
        <PageTitle title={data ? "There is no such endpoint" : "Endpoint"} />
      )}
      {!data && !error && <p role="status">Loading the endpoint…</p>}
    </>
  );
}

function Whole({ endpoint }: { endpoint: Endpoint }) {
  const navigate = useNavigate();
  const [dialog, open] = useState<ReactNode>();
  const close = () => open(undefined);
  const test = useAction(() => sendTest(endpoint.id), WEBHOOKS);
  const enable = useAction((enabled: boolean) => enableEndpoint(endpoint.id, enabled), WEBHOOKS);
  return (
    <>
      <PageTitle
        title={endpoint.url}
        actions={
          <Button
            disabled={!endpoint.enabled || test.isPending}
            onClick={() => test.run(undefined)}
          >
            Send a test event
          </Button>
        }
      >
        <span className="text-xl break-all">{endpoint.url}</span>
      </PageTitle>
      {(test.error ?? enable.error) && (
        <div className="mb-4">
          <ErrorAlert error={(test.error ?? enable.error) as Error} />
        </div>
      )}
      {!endpoint.enabled && (
        <div
          role="alert"
          className="mb-5 flex flex-wrap items-center gap-3 rounded-xl border border-danger/40 bg-danger-subtle p-4 text-sm text-danger"
        >
          <Info className="size-4 shrink-0" aria-hidden="true" />
          <p className="flex-1">
            It is disabled, and sent nothing. {disabledReasonLabel(endpoint)} What has failed
            meanwhile can be replayed.
          </p>
          <Button disabled={enable.isPending} onClick={() => enable.run(true)}>
            Enable it again
          </Button>
        </div>
      )}
      <div className="grid gap-5 lg:grid-cols-[1fr_20rem]">
        <Log
          endpoint={endpoint}
          replayFailed={() => open(<ReplayDialog endpoint={endpoint} close={close} />)}
        />
        <Card title="Endpoint" className="max-lg:order-first">
          <dl className="space-y-3 p-4 text-sm">
            <Fact name="State">
              <EnabledBadge endpoint={endpoint} />
            </Fact>
            <Fact name="Id">
              <span className="flex items-center gap-1 font-mono text-xs break-all">
                {endpoint.id}
                <CopyButton text={endpoint.id} what="the endpoint's id" />
              </span>
            </Fact>
            {endpoint.description && <Fact name="Description">{endpoint.description}</Fact>}
            <Fact name="Is sent">
              {endpoint.events.includes("*") ? "everything" : endpoint.events.join(", ")}
            </Fact>
            {endpoint.failing_since && (
              <Fact name="Failing since">
                <Time at={endpoint.failing_since} exact />
              </Fact>
            )}
            {endpoint.old_secret_expires_at && (
              <Fact name="An old secret signs along until">
                <Time at={endpoint.old_secret_expires_at} exact />
              </Fact>
            )}
          </dl>
          <div className="flex flex-wrap gap-2 border-t border-border p-4">
            <Button onClick={() => open(<EditDialog endpoint={endpoint} close={close} />)}>
              Change
            </Button>
            <Button onClick={() => open(<RotateDialog endpoint={endpoint} close={close} />)}>
              Rotate the secret
            </Button>
            {endpoint.enabled && (
              <Button disabled={enable.isPending} onClick={() => enable.run(false)}>
                Disable
              </Button>
            )}
            <Button
              variant="danger"
              onClick={() =>
                open(
                  <DeleteDialog
                    endpoint={endpoint}
                    close={close}
                    done={() => navigate({ to: "/webhooks" })}
                  />,
                )
              }
            >
              Delete
            </Button>
          </div>
        </Card>
      </div>
      {dialog}
    </>
  );
}

const STATUSES: readonly DeliveryStatus[] = ["pending", "delivered", "failed"];

function Log({ endpoint, replayFailed }: { endpoint: Endpoint; replayFailed: () => void }) {
  const [status, setStatus] = useState<DeliveryStatus>();
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(
    endpointDeliveriesQuery(endpoint.id, status),
  );
  const deliveries = data?.pages.flatMap((page) => page.deliveries);
  return (
    <Card
      title="Deliveries"
      action={
        <span className="flex items-center gap-2">
          <select
            aria-label="Status of the deliveries"
            className={`${inputClass()} w-auto! min-h-8! py-0.5! text-xs!`}
            value={status ?? ""}
            onChange={(event) => setStatus(STATUSES.find((one) => one === event.target.value))}
          >
            <option value="">All</option>
            {STATUSES.map((one) => (
              <option key={one} value={one}>
                {deliveryStatusLabel(one)}
              </option>
            ))}
          </select>
          <Button className="min-h-8! py-0.5! text-xs!" onClick={replayFailed}>
            Replay failed
          </Button>
        </span>
      }
    >
      {error && (
        <div className="p-4">
          <ErrorAlert error={error} retry={() => refetch()} />
        </div>
      )}
      {!data && !error && (
        <p role="status" className="p-4 text-sm">
          Loading the deliveries…
        </p>
      )}
      {deliveries?.length === 0 && (
        <p className="p-10 text-center text-sm text-muted">
          {status ? "None is of this kind." : "Nothing has been sent here yet."}
        </p>
      )}
      {deliveries && <Deliveries deliveries={deliveries} withPayment />}
      {hasNextPage && (
        <div className="border-t border-border p-3 text-center">
          <Button disabled={isFetchingNextPage} onClick={() => fetchNextPage()}>
            Older
          </Button>
        </div>
      )}
    </Card>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="break-words">{children}</dd>
    </div>
  );
}
