type FieldError = { readonly field: string; readonly message: string };

type Problem = {
  status: number;
  code: string;
  title: string;
  detail?: string | undefined;
  request_id?: string | undefined;
  retryAfterMs?: number | undefined;
  errors?: readonly FieldError[] | undefined;
};

/** An error response of the API (RFC 9457), or a failure to get a valid response. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly requestId: string | undefined;
  /** The `Retry-After` header, if the API sent one. */
  readonly retryAfterMs: number | undefined;
  readonly errors: readonly FieldError[];

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title);
    this.name = "ApiError";
    this.status = problem.status;
    this.code = problem.code;
    this.title = problem.title;
    this.requestId = problem.request_id;
    this.retryAfterMs = problem.retryAfterMs;
    this.errors = problem.errors ?? [];
  }

  /** No response at all: the API or the network is down. */
  static unreachable(): ApiError {
    return new ApiError({
      status: 0,
      code: "unreachable",
      title: "Can't reach the API",
      detail: "Check your connection. The data on this page may be out of date.",
    });
  }

  /** A response that is not from the API, such as a proxy's error page. */
  static unexpectedResponse(status: number, retryAfterMs?: number): ApiError {
    return new ApiError({
      status,
      code: "unexpected_response",
      title: "Unexpected response",
      detail: `The response (status ${status}) did not come from the PayFlow API.`,
      retryAfterMs,
    });
  }

  static from(body: unknown, response: Response): ApiError {
    const problem = body as Partial<Problem> | undefined;
    const seconds = response.headers.get("Retry-After");
    const retryAfterMs = seconds && /^\d+$/.test(seconds) ? Number(seconds) * 1000 : undefined;
    if (typeof problem !== "object" || problem === null || !problem.code || !problem.title) {
      return ApiError.unexpectedResponse(response.status, retryAfterMs);
    }
    const { code, title } = problem;
    return new ApiError({ ...problem, status: response.status, code, title, retryAfterMs });
  }
}

/**
 * Split an error into messages for the fields of a form and the rest.
 *
 * `other` is the error itself if it says more than the fields can show, else null.
 */
export function splitFieldErrors(error: Error | null, form: object) {
  const fieldErrors: Record<string, string> = {};
  const errors = error instanceof ApiError ? error.errors : [];
  let other = errors.length === 0 ? error : null;
  for (const { field, message } of errors) {
    const [name = "", ...path] = field.split(".");
    if (name in form) fieldErrors[name] = [...path, message].join(" ");
    else other = error;
  }
  return { fieldErrors, other };
}
