import { Link } from "@tanstack/react-router";
import { RotateCw } from "lucide-react";
import { Button } from "../../components/button";
import { CopyButton } from "../../components/copy-button";
import { ErrorAlert } from "../../components/error-alert";
import { Time } from "../../components/time";
import { useAction } from "../../hooks/use-action";
import { DeliveryBadge } from "./badges";
import { failureReasonLabel } from "./labels";
import { type Delivery, replayDelivery, WEBHOOKS_KEY } from "./queries";

type Attempt = Delivery["attempts"][number];

/** Deliveries with their attempts. `linkPayments` links each to its payment. */
export function DeliveryList({
  deliveries,
  linkPayments = false,
}: {
  deliveries: readonly Delivery[];
  linkPayments?: boolean;
}) {
  return (
    <ul className="divide-y divide-border">
      {deliveries.map((delivery) => (
        <DeliveryRow key={delivery.id} delivery={delivery} linkPayment={linkPayments} />
      ))}
    </ul>
  );
}

function DeliveryRow({ delivery, linkPayment }: { delivery: Delivery; linkPayment: boolean }) {
  const replay = useAction(() => replayDelivery(delivery.id), WEBHOOKS_KEY);
  const failureReason = failureReasonLabel(delivery);
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
          disabled={replay.isPending}
          onClick={() => replay.run(undefined)}
          aria-label={`Replay ${delivery.event_type} ${delivery.event_id}`}
        >
          <RotateCw className="size-4" aria-hidden="true" />
          Replay
        </Button>
      </div>
      <p className="flex flex-wrap items-center gap-x-4 text-xs text-muted">
        {linkPayment && delivery.payment_id && (
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
          <CopyButton text={delivery.event_id} label="webhook-id" />
        </span>
      </p>
      {failureReason && <p className="text-xs text-danger">{failureReason}</p>}
      {replay.error && <ErrorAlert error={replay.error} />}
      <AttemptList delivery={delivery} />
    </li>
  );
}

function AttemptList({
  delivery: { attempts, next_attempt_at: nextAttempt, status },
}: {
  delivery: Delivery;
}) {
  return (
    <details>
      <summary className="cursor-pointer text-xs text-muted">
        {attempts.length === 1 ? "1 attempt" : `${attempts.length} attempts`}
        {status === "pending" && nextAttempt && (
          <>
            , next attempt after <Time at={nextAttempt} />
          </>
        )}
      </summary>
      <ol className="mt-2 space-y-2 border-l border-border pl-4 text-xs">
        {attempts.map((attempt) => (
          <AttemptRow key={attempt.at} attempt={attempt} />
        ))}
      </ol>
    </details>
  );
}

function AttemptRow({ attempt }: { attempt: Attempt }) {
  return (
    <li>
      <span className="text-muted">
        <Time at={attempt.at} format="exact" />
      </span>{" "}
      <span className="font-medium">{attemptResult(attempt)}</span>
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
  );
}

/** An attempt without a status or error is still running, or its worker was killed. */
function attemptResult({ status, error }: Attempt): string {
  if (error) return status == null ? error : `${status}, then ${error}`;
  return status == null ? "Unknown" : String(status);
}
