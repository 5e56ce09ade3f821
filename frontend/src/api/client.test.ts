import { describe, expect, it, vi } from "vitest";
import { setApiKey } from "../session/key";
import type { ApiError } from "./api-error";
import { api, unwrap } from "./client";

const stubFetch = (respond: () => Promise<Response>) => {
  const fetch = vi.fn((_: Request) => respond());
  vi.stubGlobal("fetch", fetch);
  return fetch;
};
const listPayments = () => unwrap(api.GET("/v1/payments", {}));
const listError = async (): Promise<ApiError> =>
  listPayments().then(
    () => expect.unreachable(),
    (error) => error,
  );

describe("the API key", () => {
  it("is sent in a header, and never in the URL", async () => {
    setApiKey("pf_dev_secret");
    const fetch = stubFetch(async () => Response.json({ payments: [] }));
    await listPayments();
    const request = fetch.mock.calls[0]?.[0];
    expect(request?.headers.get("Authorization")).toBe("Bearer pf_dev_secret");
    expect(request?.url).not.toContain("secret");
  });

  it("is not sent when there is none", async () => {
    const fetch = stubFetch(async () => Response.json({ payments: [] }));
    await listPayments();
    expect(fetch.mock.calls[0]?.[0].headers.has("Authorization")).toBe(false);
  });
});

describe("an ApiError", () => {
  it("carries the problem that the API returned", async () => {
    stubFetch(async () =>
      Response.json(
        {
          type: "urn:payflow:problem:validation_failed",
          title: "Validation failed",
          status: 400,
          detail: "limit: at most 100",
          code: "validation_failed",
          request_id: "r-1",
          errors: [{ field: "limit", message: "at most 100" }],
        },
        { status: 400 },
      ),
    );
    expect(await listError()).toMatchObject({
      status: 400,
      code: "validation_failed",
      message: "limit: at most 100",
      requestId: "r-1",
      errors: [{ field: "limit", message: "at most 100" }],
    });
  });

  it("carries Retry-After", async () => {
    const body = { code: "unavailable", title: "Unavailable" };
    stubFetch(async () => Response.json(body, { status: 503, headers: { "Retry-After": "7" } }));
    expect((await listError()).retryAfterMs).toBe(7_000);
  });

  it("says when the API is unreachable", async () => {
    stubFetch(async () => {
      throw new TypeError("Failed to fetch");
    });
    expect((await listError()).code).toBe("unreachable");
  });

  it("says when a proxy returned an error page", async () => {
    stubFetch(async () => new Response("<html>Bad gateway</html>", { status: 502 }));
    expect(await listError()).toMatchObject({ status: 502, code: "unexpected_response" });
  });

  it("says when a proxy returned a page with status 200", async () => {
    const html = { headers: { "Content-Type": "text/html" } };
    stubFetch(async () => new Response("<html>Sign in to the network</html>", html));
    expect(await listError()).toMatchObject({ status: 200, code: "unexpected_response" });
  });
});
