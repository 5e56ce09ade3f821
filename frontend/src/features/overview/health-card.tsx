import { useQuery } from "@tanstack/react-query";
import {
  CircleCheck,
  CircleQuestionMark,
  CircleX,
  LoaderCircle,
  type LucideIcon,
} from "lucide-react";
import { ApiError } from "../../api/api-error";
import { Card } from "../../components/card";
import { ErrorAlert } from "../../components/error-alert";
import { healthQuery } from "./queries";

type HealthStatus = "operational" | "unreachable" | "unavailable" | "unknown" | "checking";

/** The health of the API, and of the database and queues behind it. */
export function HealthCard() {
  const { data, error, refetch } = useQuery(healthQuery);
  const { api, backend } = healthStatus(error, data !== undefined);
  return (
    <Card title="Health">
      <div className="space-y-3 p-4" aria-live="polite">
        <dl className="space-y-3 text-sm">
          <HealthRow name="API" status={api} />
          <HealthRow name="Database and queues" status={backend} />
        </dl>
        {data && !error && (
          <p className="text-xs text-muted">
            Version {data.version}, {data.region}
          </p>
        )}
      </div>
      {error && (
        <div className="px-4 pb-4">
          <ErrorAlert error={error} retry={() => refetch()} />
        </div>
      )}
    </Card>
  );
}

/** Derive the health from the latest response alone: an earlier success may be long ago. */
export function healthStatus(
  error: Error | null,
  hasSucceeded: boolean,
): { api: HealthStatus; backend: HealthStatus } {
  if (!error) {
    const status = hasSucceeded ? "operational" : "checking";
    return { api: status, backend: status };
  }
  const isFromApi =
    error instanceof ApiError && error.status > 0 && error.code !== "unexpected_response";
  if (!isFromApi) return { api: "unreachable", backend: "unknown" };
  return { api: "operational", backend: error.status === 503 ? "unavailable" : "unknown" };
}

const DISPLAY: Record<HealthStatus, [label: string, icon: LucideIcon, colour: string]> = {
  operational: ["Operational", CircleCheck, "text-success"],
  unreachable: ["Unreachable", CircleX, "text-danger"],
  unavailable: ["Unavailable", CircleX, "text-danger"],
  unknown: ["Unknown", CircleQuestionMark, "text-muted"],
  checking: ["Checking…", LoaderCircle, "text-muted"],
};

function HealthRow({ name, status }: { name: string; status: HealthStatus }) {
  const [label, Icon, colour] = DISPLAY[status];
  return (
    <div className="flex items-center justify-between gap-3">
      <dt>{name}</dt>
      <dd className={`flex items-center gap-1.5 font-medium whitespace-nowrap ${colour}`}>
        <Icon className="size-4" aria-hidden="true" />
        {label}
      </dd>
    </div>
  );
}
