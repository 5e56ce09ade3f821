import { TriangleAlert } from "lucide-react";
import { ApiError } from "../api/api-error";
import { Button } from "./button";

/** What went wrong, in the API's own words, with what support will ask for. */
export function ErrorAlert({ error, retry }: { error: Error; retry?: (() => void) | undefined }) {
  const problem = error instanceof ApiError ? error : undefined;
  return (
    <div
      role="alert"
      className="flex flex-wrap items-start gap-x-3 gap-y-2 rounded-xl border border-danger/40 bg-danger-subtle p-4 text-sm text-danger"
    >
      <TriangleAlert className="mt-0.5 size-4 shrink-0" aria-hidden="true" />
      <div className="min-w-0 flex-1">
        <p className="font-semibold">{problem?.title ?? "Something went wrong on this page"}</p>
        <p className="break-words">{error.message}</p>
        {problem?.requestId && (
          <p className="mt-1 text-xs">
            Request <code className="font-mono break-all">{problem.requestId}</code>
          </p>
        )}
      </div>
      {retry && <Button onClick={retry}>Try again</Button>}
    </div>
  );
}
