import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import type { components } from "../../api/schema";
import { EmptyState } from "../../components/empty-state";
import { ErrorAlert } from "../../components/error-alert";
import { KeyName } from "../../components/key-name";
import { PageTitle } from "../../components/page-title";
import { Pagination } from "../../components/pagination";
import { Time } from "../../components/time";
import { LogsTabs } from "./logs-tabs";
import { auditQuery } from "./queries";

type AuditEvent = components["schemas"]["AuditEvent"];
type Value = AuditEvent["changes"][number]["before"];

const LABELS: Record<AuditEvent["type"], string> = {
  "api_key.created": "Created the API key",
  "api_key.rolled": "Rolled the API key",
  "api_key.revoked": "Revoked the API key",
  "webhook_endpoint.created": "Created the endpoint",
  "webhook_endpoint.changed": "Changed the endpoint",
  "webhook_endpoint.secret_rotated": "Rotated the secret of the endpoint",
  "webhook_endpoint.disabled": "Disabled the endpoint",
  "webhook_endpoint.enabled": "Enabled the endpoint",
  "webhook_endpoint.deleted": "Deleted the endpoint",
  "export.created": "Exported",
};
const route = getRouteApi("/audit");

/** Who changed what, from what, to what, and from where: newest first. */
export function AuditPage() {
  const { cursor } = route.useSearch();
  const navigate = useNavigate({ from: "/audit" });
  const { data, error, refetch, isPlaceholderData } = useQuery(auditQuery(cursor));
  const page = isPlaceholderData ? undefined : data;
  return (
    <>
      <PageTitle title="Audit" />
      <LogsTabs />
      <p className="mb-4 max-w-3xl text-sm text-muted">
        Who changed API keys and webhook endpoints, and who exported. Nothing is ever deleted here.
      </p>
      {error && <ErrorAlert error={error} retry={() => refetch()} />}
      {!page && !error && <p role="status">Loading audit log…</p>}
      {page?.audit_events.length === 0 && (
        <EmptyState title="Nothing was changed yet" hint="Create an API key or an endpoint." />
      )}
      {page && page.audit_events.length > 0 && (
        <ol className="divide-y divide-border overflow-hidden rounded-xl border border-border bg-surface text-sm">
          {page.audit_events.map((event) => (
            <AuditRow key={event.id} event={event} />
          ))}
        </ol>
      )}
      {page && (
        <Pagination
          cursor={cursor}
          nextCursor={page.next_cursor}
          goTo={(target, state) => navigate({ search: target ? { cursor: target } : {}, state })}
        />
      )}
    </>
  );
}

function AuditRow({ event }: { event: AuditEvent }) {
  return (
    <li className="space-y-1 px-4 py-3">
      <p>
        <span className="font-medium">{LABELS[event.type]}</span>{" "}
        <span className="break-words">{event.resource_name}</span>{" "}
        <code className="font-mono text-xs break-all text-muted">{event.resource_id}</code>
      </p>
      <p className="text-xs text-muted">
        <Time at={event.created_at} format="exact" /> · by{" "}
        <KeyName name={event.actor} id={event.actor_id} />
        {event.source_address && ` · from ${event.source_address}`}
      </p>
      {event.changes.length > 0 && (
        <dl className="space-y-0.5 text-xs">
          {event.changes.map(({ field, before, after }) => (
            <div key={field} className="flex flex-wrap gap-x-2">
              <dt className="font-mono text-muted">{field}</dt>
              <dd className="break-all">
                {before !== null && `${shown(before)} → `}
                {shown(after)}
              </dd>
            </div>
          ))}
        </dl>
      )}
    </li>
  );
}

function shown(value: Value): string {
  if (value === null) return "none";
  return Array.isArray(value) ? value.join(", ") : String(value);
}
