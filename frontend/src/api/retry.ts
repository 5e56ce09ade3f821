import { ApiError } from "./api-error";

const RETRIES = 2;
const FIRST_RETRY_MS = 500;
/** A longer wait is no loading any more: the page says then what is the matter. */
const LONGEST_SILENCE_MS = 3_000;

/** What the API refuses it refuses again; what did not come through may, the next time. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  return error.status < 400 || error.status === 429 || error.status >= 500;
}

export function shouldRetry(failures: number, error: Error): boolean {
  return failures < RETRIES && isTransient(error) && asked(error) <= LONGEST_SILENCE_MS;
}

export function retryDelayMs(failures: number, error: Error): number {
  return Math.max(FIRST_RETRY_MS * 2 ** failures, asked(error));
}

/** The same for what no query asks for. Throws what it does not get over, or the abort. */
export async function withRetry<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted || !shouldRetry(failures, error as Error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, retryDelayMs(failures, error as Error)));
      signal.throwIfAborted();
    }
  }
}

/** For what is asked again and again: no sooner than the API wants, and not what it refuses. */
export function pollEvery(ms: number) {
  return ({ state: { error } }: { state: { error: Error | null } }): number | false => {
    if (!error) return ms;
    return isTransient(error) ? Math.max(ms, asked(error)) : false;
  };
}

const asked = (error: Error) => (error instanceof ApiError && error.retryAfterMs) || 0;
