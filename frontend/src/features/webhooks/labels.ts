import type { components } from "../../api/schema";
import type { Delivery, Endpoint, Subscription } from "./queries";

// Held to the API's by its type: a value that the API gains fails to compile here.

const EVENTS: Record<Exclude<Subscription, "*">, string> = {
  "payment.completed": "Payment completed",
  "payment.failed": "Payment failed",
  "payment.canceled": "Payment canceled",
  "payment.returned": "Payment returned",
  "refund.completed": "Refund completed",
  "refund.failed": "Refund failed",
};
export const EVENT_LABELS = Object.entries(EVENTS) as [Exclude<Subscription, "*">, string][];

const DISABLED: Record<components["schemas"]["DisabledReason"], string> = {
  requested: "Switched off by hand.",
  gone: "It answered 410: it asks for no more.",
  failing: "It has done nothing but fail for five days.",
};

/** Why an endpoint is sent nothing; undefined while it is sent something. */
export const disabledReasonLabel = ({ disabled_reason: reason }: Endpoint) =>
  reason && DISABLED[reason];

const FAILURES: Record<components["schemas"]["FailureReason"], string> = {
  exhausted: "Its last attempt has failed.",
  gone: "The endpoint answered 410: it asks for no more.",
  endpoint_disabled: "The endpoint was disabled before it could be delivered.",
  endpoint_deleted: "The endpoint was deleted before it could be delivered.",
};

export const failureSays = ({ failure_reason: reason }: Delivery) => reason && FAILURES[reason];
