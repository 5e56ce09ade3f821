import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { TriangleAlert } from "lucide-react";
import { pollEvery } from "../../api/retry";
import { endpointsQuery } from "./queries";

const LOOK_MS = 60_000;

/** On every page: an endpoint that was disabled for failing is told of nothing any more. */
export function DisabledBanner() {
  // Who may not see the endpoints is told nothing of them.
  const { data } = useQuery({
    ...endpointsQuery,
    retry: false,
    refetchInterval: pollEvery(LOOK_MS),
  });
  const dead = data?.webhook_endpoints.filter(
    ({ enabled, disabled_reason: reason }) => !enabled && reason !== "requested",
  );
  return dead?.map(({ id, url }) => (
    <p
      key={id}
      role="status"
      className="mb-4 flex items-center gap-2 rounded-xl bg-danger-subtle px-4 py-2.5 text-sm text-danger"
    >
      <TriangleAlert className="size-4 shrink-0" aria-hidden="true" />
      <span className="min-w-0 break-words">
        A webhook endpoint was disabled:{" "}
        <Link to="/webhooks/$id" params={{ id }} className="break-all underline">
          {url}
        </Link>
      </span>
    </p>
  ));
}
