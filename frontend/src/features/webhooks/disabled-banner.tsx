import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { TriangleAlert } from "lucide-react";
import { pollEvery } from "../../api/retry";
import { endpointsQuery } from "./queries";

const POLL_MS = 60_000;

/** A warning on every page for each endpoint that PayFlow has disabled. */
export function DisabledBanner() {
  // A key that may not list endpoints sees no banner, and no error either.
  const { data } = useQuery({
    ...endpointsQuery,
    retry: false,
    refetchInterval: pollEvery(POLL_MS),
  });
  const disabled = data?.webhook_endpoints.filter(
    ({ enabled, disabled_reason: reason }) => !enabled && reason !== "requested",
  );
  return disabled?.map(({ id, url }) => (
    <p
      key={id}
      role="status"
      className="mb-4 flex items-center gap-2 rounded-xl bg-danger-subtle px-4 py-2.5 text-sm text-danger"
    >
      <TriangleAlert className="size-4 shrink-0" aria-hidden="true" />
      <span className="min-w-0 break-words">
        A webhook endpoint is disabled:{" "}
        <Link to="/webhooks/$id" params={{ id }} className="break-all underline">
          {url}
        </Link>
      </span>
    </p>
  ));
}
