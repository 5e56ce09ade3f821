import { ApiError } from "./api-error";

const MAX_RETRIES = 2;
const FIRST_RETRY_MS = 500;
/** If the API asks for a longer wait, show the error instead of a spinner. */
const MAX_RETRY_WAIT_MS = 3_000;

/** Whether the same request may succeed later: true for network errors, 429 and 5xx. */
function isTransient(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  return error.status < 400 || error.status === 429 || error.status >= 500;
}

export function shouldRetry(failures: number, error: Error): boolean {
  return failures < MAX_RETRIES && isTransient(error) && retryAfterMs(error) <= MAX_RETRY_WAIT_MS;
}

export function retryDelayMs(failures: number, error: Error): number {
  return Math.max(FIRST_RETRY_MS * 2 ** failures, retryAfterMs(error));
}

/** Retry a request made outside React Query. Throws the last error, or the abort reason. */
export async function withRetry<T>(send: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await send();
    } catch (error) {
      if (signal.aborted || !shouldRetry(failures, error as Error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, retryDelayMs(failures, error as Error)));
      signal.throwIfAborted();
    }
  }
}

/** A `refetchInterval` that honours `Retry-After` and stops at an error that is not transient. */
export function pollEvery(ms: number) {
  return ({ state: { error } }: { state: { error: Error | null } }): number | false => {
    if (!error) return ms;
    return isTransient(error) ? Math.max(ms, retryAfterMs(error)) : false;
  };
}

const retryAfterMs = (error: Error) => (error instanceof ApiError && error.retryAfterMs) || 0;
