import { CircleCheck, CircleX, LoaderCircle, type LucideIcon, TriangleAlert } from "lucide-react";
import type { DeliveryStatus, Endpoint } from "./queries";

const LOOK =
  "inline-flex items-center gap-1.5 rounded-full px-2.5 py-0.5 text-xs font-medium whitespace-nowrap";

const DELIVERIES: Record<DeliveryStatus, [string, string, LucideIcon]> = {
  pending: ["Pending", "bg-warning-subtle text-warning", LoaderCircle],
  delivered: ["Delivered", "bg-success-subtle text-success", CircleCheck],
  failed: ["Failed", "bg-danger-subtle text-danger", CircleX],
};

export const deliveryStatusLabel = (status: DeliveryStatus) => DELIVERIES[status][0];

export function DeliveryBadge({ status }: { status: DeliveryStatus }) {
  const [name, colours, Icon] = DELIVERIES[status];
  return (
    <span className={`${LOOK} ${colours}`}>
      <Icon className="size-3.5" aria-hidden="true" />
      {name}
    </span>
  );
}

export function EnabledBadge({ endpoint }: { endpoint: Endpoint }) {
  const [name, colours, Icon]: [string, string, LucideIcon] = !endpoint.enabled
    ? ["Disabled", "bg-danger-subtle text-danger", CircleX]
    : endpoint.failing_since
      ? ["Failing", "bg-warning-subtle text-warning", TriangleAlert]
      : ["Enabled", "bg-success-subtle text-success", CircleCheck];
  return (
    <span className={`${LOOK} ${colours}`}>
      <Icon className="size-3.5" aria-hidden="true" />
      {name}
    </span>
  );
}
