import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "../../components/button";
import { Card } from "../../components/card";
import { ErrorAlert } from "../../components/error-alert";
import { inputClass } from "../../components/field";
import { DeliveryList } from "./delivery-list";
import { ReplayFailedDialog } from "./endpoint-dialogs";
import { DELIVERY_STATUSES, deliveryStatusLabel } from "./labels";
import { type DeliveryStatus, type Endpoint, endpointDeliveriesQuery } from "./queries";

/** The deliveries of an endpoint, with a status filter, page by page. */
export function DeliveriesCard({ endpoint }: { endpoint: Endpoint }) {
  const [status, setStatus] = useState<DeliveryStatus>();
  const [isReplaying, setReplaying] = useState(false);
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(
    endpointDeliveriesQuery(endpoint.id, status),
  );
  const deliveries = data?.pages.flatMap((page) => page.deliveries);
  return (
    <Card
      title="Deliveries"
      action={
        <span className="flex items-center gap-2">
          <StatusFilter status={status} onChange={setStatus} />
          <Button className="min-h-8! py-0.5! text-xs!" onClick={() => setReplaying(true)}>
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
          Loading deliveries…
        </p>
      )}
      {deliveries?.length === 0 && (
        <p className="p-10 text-center text-sm text-muted">
          {status ? "No deliveries with this status" : "No deliveries yet"}
        </p>
      )}
      {deliveries && <DeliveryList deliveries={deliveries} linkPayments />}
      {hasNextPage && (
        <div className="border-t border-border p-3 text-center">
          <Button disabled={isFetchingNextPage} onClick={() => fetchNextPage()}>
            Load older
          </Button>
        </div>
      )}
      {isReplaying && (
        <ReplayFailedDialog endpoint={endpoint} onClose={() => setReplaying(false)} />
      )}
    </Card>
  );
}

function StatusFilter({
  status,
  onChange,
}: {
  status: DeliveryStatus | undefined;
  onChange: (status: DeliveryStatus | undefined) => void;
}) {
  return (
    <select
      aria-label="Delivery status"
      className={`${inputClass()} w-auto! min-h-8! py-0.5! text-xs!`}
      value={status ?? ""}
      onChange={({ target }) => onChange(DELIVERY_STATUSES.find((one) => one === target.value))}
    >
      <option value="">All</option>
      {DELIVERY_STATUSES.map((option) => (
        <option key={option} value={option}>
          {deliveryStatusLabel(option)}
        </option>
      ))}
    </select>
  );
}
