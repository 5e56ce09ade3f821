import createClient from "openapi-fetch";
import { getApiKey } from "../session/key";
import { ApiError } from "./api-error";
import type { components, paths } from "./schema";

export type Payment = components["schemas"]["Payment"];
export type PaymentPage = components["schemas"]["Page"];
export type Status = components["schemas"]["Status"];
export type PaymentType = components["schemas"]["PaymentType"];
export type ApiKey = components["schemas"]["ApiKey"];
export type NewApiKey = components["schemas"]["NewApiKey"];
export type Scope = components["schemas"]["Scope"];
export type Currency = components["schemas"]["Currency"];

export const API_URL: string = import.meta.env.VITE_API_URL;

export const api = createClient<paths>({ baseUrl: API_URL, fetch: (request) => fetch(request) });

api.use({
  onRequest({ request }) {
    const key = getApiKey();
    if (key) request.headers.set("Authorization", `Bearer ${key}`);
    return request;
  },
  onResponse({ response }) {
    // A proxy can answer with a page of its own and status 200.
    const isJson = /^application\/(\w+\+)?json\b/.test(response.headers.get("Content-Type") ?? "");
    if (response.ok && response.status !== 204 && !isJson) {
      throw ApiError.unexpectedResponse(response.status);
    }
  },
  onError({ error }) {
    // The caller aborted the request. Any other error means that no response arrived.
    return error instanceof DOMException && error.name === "AbortError"
      ? error
      : ApiError.unreachable();
  },
});

/** Return the body of a successful response. Throws an ApiError otherwise. */
export async function unwrap<T>(
  request: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await request;
  if (!response.ok) throw ApiError.from(error, response);
  return data as T;
}

/** Return the rows of all pages of a list, in order. */
export async function everyPage<Row>(
  read: (query: { cursor?: string }) => Promise<{ rows: Row[]; next_cursor: string | null }>,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (let query: { cursor?: string } = {}; ; ) {
    const page = await read(query);
    rows.push(...page.rows);
    if (page.next_cursor === null) return rows;
    query = { cursor: page.next_cursor };
  }
}
