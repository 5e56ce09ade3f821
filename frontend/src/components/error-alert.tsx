import { TriangleAlert } from "lucide-react";
import { ApiError } from "../api/api-error";
import { Button } from "./button";

/** An error in the API's own words, with the request id for support. */
export function ErrorAlert({ error, retry }: { error: Error; retry?: (() => void) | undefined }) {
  const apiError = error instanceof ApiError ? error : undefined;
  return (
    <div
      role="alert"
      className="flex flex-wrap items-start gap-x-3 gap-y-2 rounded-xl border border-danger/40 bg-danger-subtle p-4 text-sm text-danger"
    >
      <TriangleAlert className="mt-0.5 size-4 shrink-0" aria-hidden="true" />
      <div className="min-w-0 flex-1">
        <p className="font-semibold">{apiError?.title ?? "Something went wrong"}</p>
        <p className="break-words">{error.message}</p>
        {apiError?.requestId && (
          <p className="mt-1 text-xs">
            Request ID <code className="font-mono break-all">{apiError.requestId}</code>
          </p>
        )}
      </div>
      {retry && <Button onClick={retry}>Try again</Button>}
    </div>
  );
}
