import type { components } from "../../api/schema";
import type { Delivery, DeliveryStatus, Endpoint, Subscription } from "./queries";

// The types come from the API: a value that the API adds does not compile until it has a label.

type EventType = Exclude<Subscription, "*">;

const EVENT_TYPE_LABELS: Record<EventType, string> = {
  "payment.completed": "Payment completed",
  "payment.failed": "Payment failed",
  "payment.canceled": "Payment canceled",
  "payment.returned": "Payment returned",
  "refund.completed": "Refund completed",
  "refund.failed": "Refund failed",
  "refund.returned": "Refund returned",
};
export const EVENT_TYPES = Object.entries(EVENT_TYPE_LABELS) as [EventType, string][];

/** The events that an endpoint subscribes to, such as `payment.failed, refund.failed`. */
export const subscriptionLabel = ({ events }: Endpoint) =>
  events.includes("*") ? "All events" : events.join(", ");

const DELIVERY_STATUS_LABELS: Record<DeliveryStatus, string> = {
  pending: "Pending",
  delivered: "Delivered",
  failed: "Failed",
};
export const DELIVERY_STATUSES = Object.keys(DELIVERY_STATUS_LABELS) as DeliveryStatus[];

export const deliveryStatusLabel = (status: DeliveryStatus) => DELIVERY_STATUS_LABELS[status];

const DISABLED_REASONS: Record<components["schemas"]["DisabledReason"], string> = {
  requested: "It was disabled manually.",
  gone: "It returned 410 Gone, which asks us to stop.",
  failing: "Every delivery failed for five days.",
};

/** Why an endpoint is disabled, or null if it is enabled. */
export const disabledReasonLabel = ({ disabled_reason: reason }: Endpoint) =>
  reason && DISABLED_REASONS[reason];

const FAILURE_REASONS: Record<components["schemas"]["FailureReason"], string> = {
  exhausted: "All attempts failed.",
  gone: "The endpoint returned 410 Gone, which asks us to stop.",
  endpoint_disabled: "The endpoint was disabled before delivery.",
  endpoint_deleted: "The endpoint was deleted before delivery.",
};

/** Why a delivery failed, or null if it did not. */
export const failureReasonLabel = ({ failure_reason: reason }: Delivery) =>
  reason && FAILURE_REASONS[reason];
