import { Link } from "@tanstack/react-router";
import { RotateCw } from "lucide-react";
import { Button } from "../../components/button";
import { CopyButton } from "../../components/copy-button";
import { ErrorAlert } from "../../components/error-alert";
import { Time } from "../../components/time";
import { useAction } from "../../hooks/use-action";
import { DeliveryBadge } from "./badges";
import { failureSays } from "./labels";
import { type Delivery, replay, WEBHOOKS } from "./queries";

type Attempt = Delivery["attempts"][number];

/** Deliveries, each with what came of every attempt. */
export function Deliveries({
  deliveries,
  withPayment = false,
}: {
  deliveries: readonly Delivery[];
  withPayment?: boolean;
}) {
  return (
    <ul className="divide-y divide-border">
      {deliveries.map((delivery) => (
        <One key={delivery.id} delivery={delivery} withPayment={withPayment} />
      ))}
    </ul>
  );
}

function One({ delivery, withPayment }: { delivery: Delivery; withPayment: boolean }) {
  const again = useAction(() => replay(delivery.id), WEBHOOKS);
  return (
    <li className="space-y-2 p-4 text-sm">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-1">
        <code className="font-mono text-xs font-semibold">{delivery.event_type}</code>
        <DeliveryBadge status={delivery.status} />
        <span className="text-xs text-muted">
          <Time at={delivery.created_at} />
        </span>
        <Button
          variant="ghost"
          className="ml-auto"
          disabled={again.isPending}
          onClick={() => again.run(undefined)}
          aria-label={`Replay ${delivery.event_type} of ${delivery.event_id}`}
        >
          <RotateCw className="size-4" aria-hidden="true" />
          Replay
        </Button>
      </div>
      <p className="flex flex-wrap items-center gap-x-4 text-xs text-muted">
        {withPayment && delivery.payment_id && (
          <Link
            to="/payments/$id"
            params={{ id: delivery.payment_id }}
            className="font-mono break-all text-accent hover:underline"
          >
            {delivery.payment_id}
          </Link>
        )}
        <span className="flex items-center gap-1">
          webhook-id <code className="font-mono break-all">{delivery.event_id}</code>
          <CopyButton text={delivery.event_id} what="the webhook-id" />
        </span>
      </p>
      {failureSays(delivery) && <p className="text-xs text-danger">{failureSays(delivery)}</p>}
      {again.error && <ErrorAlert error={again.error} />}
      <Attempts delivery={delivery} />
    </li>
  );
}

function Attempts({
  delivery: { attempts, next_attempt_at: next, status },
}: {
  delivery: Delivery;
}) {
  return (
    <details>
      <summary className="cursor-pointer text-xs text-muted">
        {attempts.length === 1 ? "1 attempt" : `${attempts.length} attempts`}
        {status === "pending" && next && (
          <>
            , the next not before <Time at={next} />
          </>
        )}
      </summary>
      <ol className="mt-2 space-y-2 border-l border-border pl-4 text-xs">
        {attempts.map((attempt) => (
          <li key={attempt.at}>
            <span className="text-muted">
              <Time at={attempt.at} exact />
            </span>{" "}
            <span className="font-medium">{wordOf(attempt)}</span>
            {attempt.latency_ms != null && (
              <span className="text-muted"> in {attempt.latency_ms.toLocaleString()} ms</span>
            )}
            {attempt.detail && <p className="break-words text-muted">{attempt.detail}</p>}
            {attempt.response && (
              <pre className="mt-1 rounded-lg bg-raised p-2 font-mono break-words whitespace-pre-wrap">
                {attempt.response}
              </pre>
            )}
          </li>
        ))}
      </ol>
    </details>
  );
}

/** What came of it; of one that is under way, or whose worker was killed, nothing is known. */
function wordOf({ status, error }: Attempt): string {
  if (error) return status == null ? error : `${status}, then ${error}`;
  return status == null ? "not known" : String(status);
}
