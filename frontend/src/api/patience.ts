import { Problem } from "./problem";

const RETRIES = 2;
const FIRST_RETRY_MS = 500;
/** A longer wait is no loading any more: the page says then what is the matter. */
const LONGEST_SILENCE_MS = 3_000;

/** What the API refuses it refuses again; what did not come through may, the next time. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof Problem)) return false;
  return error.status < 400 || error.status === 429 || error.status >= 500;
}

export function retries(failures: number, error: Error): boolean {
  return failures < RETRIES && isPassing(error) && asked(error) <= LONGEST_SILENCE_MS;
}

export function retryDelayMs(failures: number, error: Error): number {
  return Math.max(FIRST_RETRY_MS * 2 ** failures, asked(error));
}

/** The same for what no query asks for. Throws what it does not get over, or the abort. */
export async function patiently<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted || !retries(failures, error as Error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, retryDelayMs(failures, error as Error)));
      signal.throwIfAborted();
    }
  }
}

/** For what is asked again and again: no sooner than the API wants, and not what it refuses. */
export function every(ms: number) {
  return ({ state: { error } }: { state: { error: Error | null } }): number | false => {
    if (!error) return ms;
    return isPassing(error) ? Math.max(ms, asked(error)) : false;
  };
}

const asked = (error: Error) => (error instanceof Problem && error.retryAfterMs) || 0;
