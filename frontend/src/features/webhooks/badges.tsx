import { CircleCheck, CircleX, LoaderCircle, TriangleAlert } from "lucide-react";
import { Badge, type BadgeProps } from "../../components/badge";
import { deliveryStatusLabel } from "./labels";
import type { DeliveryStatus, Endpoint } from "./queries";

const DELIVERY_STYLES: Record<DeliveryStatus, Pick<BadgeProps, "tone" | "icon">> = {
  pending: { tone: "warning", icon: LoaderCircle },
  delivered: { tone: "success", icon: CircleCheck },
  failed: { tone: "danger", icon: CircleX },
};

export function DeliveryBadge({ status }: { status: DeliveryStatus }) {
  return <Badge label={deliveryStatusLabel(status)} {...DELIVERY_STYLES[status]} />;
}

export function EndpointBadge({ endpoint }: { endpoint: Endpoint }) {
  if (!endpoint.enabled) return <Badge label="Disabled" tone="danger" icon={CircleX} />;
  if (endpoint.failing_since) return <Badge label="Failing" tone="warning" icon={TriangleAlert} />;
  return <Badge label="Enabled" tone="success" icon={CircleCheck} />;
}
