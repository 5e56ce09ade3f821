/** What the API says when it refuses (RFC 9457), or what stands for it when it says nothing. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly requestId: string | undefined;
  /** When to ask again, if the API said so. */
  readonly retryAfterMs: number | undefined;
  readonly fields: readonly { readonly field: string; readonly message: string }[];

  constructor(said: {
    status: number;
    code: string;
    title: string;
    detail?: string | undefined;
    request_id?: string | undefined;
    retryAfterMs?: number | undefined;
    errors?: readonly { field: string; message: string }[] | undefined;
  }) {
    super(said.detail ?? said.title);
    this.name = "ApiError";
    this.status = said.status;
    this.code = said.code;
    this.title = said.title;
    this.requestId = said.request_id;
    this.retryAfterMs = said.retryAfterMs;
    this.fields = said.errors ?? [];
  }

  /** The API could not be reached at all: it is down, or the network is. */
  static unreachable(): ApiError {
    return new ApiError({
      status: 0,
      code: "unreachable",
      title: "The API does not answer",
      detail: "Nothing came back from it. Check your connection; what you see may be out of date.",
    });
  }

  /** Something other than the API answered, such as a proxy. */
  static unexpectedResponse(status: number, retryAfterMs?: number): ApiError {
    return new ApiError({
      status,
      code: "unexpected_response",
      title: "The answer was not understood",
      detail: `Something answered ${status}, and not as the API does.`,
      retryAfterMs,
    });
  }

  static from(body: unknown, response: Response): ApiError {
    const said = body as Partial<ConstructorParameters<typeof ApiError>[0]> | undefined;
    const seconds = response.headers.get("Retry-After");
    const retryAfterMs = seconds && /^\d+$/.test(seconds) ? Number(seconds) * 1000 : undefined;
    if (typeof said !== "object" || said === null || !said.code || !said.title) {
      return ApiError.unexpectedResponse(response.status, retryAfterMs);
    }
    const { code, title } = said;
    return new ApiError({ ...said, status: response.status, code, title, retryAfterMs });
  }
}
