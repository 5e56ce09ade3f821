import { afterEach, expect, test, vi } from "vitest";
import { setApiKey } from "../session/key";
import type { ApiError } from "./api-error";
import { api, unwrap } from "./client";

const answers = (response: () => Promise<Response>) => {
  const fetch = vi.fn((_: Request) => response());
  vi.stubGlobal("fetch", fetch);
  return fetch;
};
const list = () => unwrap(api.GET("/v1/payments", {}));
const refusal = async () => {
  const problem: ApiError = await list().then(
    () => expect.unreachable(),
    (error) => error,
  );
  return problem;
};

afterEach(() => vi.unstubAllGlobals());

test("the key goes into a header, and nowhere else", async () => {
  setApiKey("pf_dev_secret");
  const fetch = answers(async () => Response.json({ payments: [] }));
  await list();
  const request = fetch.mock.calls[0]?.[0];
  expect(request?.headers.get("Authorization")).toBe("Bearer pf_dev_secret");
  expect(request?.url).not.toContain("secret");
});

test("without a key there is no header", async () => {
  const fetch = answers(async () => Response.json({ payments: [] }));
  await list();
  expect(fetch.mock.calls[0]?.[0].headers.has("Authorization")).toBe(false);
});

test("a refusal says what the API said", async () => {
  answers(async () =>
    Response.json(
      {
        type: "urn:payflow:problem:validation_failed",
        title: "The request is not valid",
        status: 400,
        detail: "limit: at most 100",
        code: "validation_failed",
        request_id: "r-1",
        errors: [{ field: "limit", message: "at most 100" }],
      },
      { status: 400 },
    ),
  );
  expect(await refusal()).toMatchObject({
    status: 400,
    code: "validation_failed",
    message: "limit: at most 100",
    requestId: "r-1",
    fields: [{ field: "limit", message: "at most 100" }],
  });
});

test("an API that cannot be reached is a problem too", async () => {
  answers(async () => {
    throw new TypeError("Failed to fetch");
  });
  expect((await refusal()).code).toBe("unreachable");
});

test("what is not the API's answer is said to be none", async () => {
  answers(async () => new Response("<html>Bad gateway</html>", { status: 502 }));
  expect(await refusal()).toMatchObject({ status: 502, code: "unexpected_response" });
});

test("a page that comes with a 200 is not the API's answer either", async () => {
  const page = { headers: { "Content-Type": "text/html" } };
  answers(async () => new Response("<html>Sign in to the network</html>", page));
  expect(await refusal()).toMatchObject({ status: 200, code: "unexpected_response" });
});

test("a refusal says when to ask again", async () => {
  const body = { code: "unavailable", title: "Away" };
  answers(async () => Response.json(body, { status: 503, headers: { "Retry-After": "7" } }));
  expect((await refusal()).retryAfterMs).toBe(7_000);
});
