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
    // A proxy's page may come with a 200.
    const isJson = /^application\/(\w+\+)?json\b/.test(response.headers.get("Content-Type") ?? "");
    if (response.ok && response.status !== 204 && !isJson) {
      throw ApiError.unexpectedResponse(response.status);
    }
  },
  onError({ error }) {
    // An abort is the caller's own wish; anything else means that nothing came back.
    return error instanceof DOMException && error.name === "AbortError"
      ? error
      : ApiError.unreachable();
  },
});

/** The body of a success. Throws the ApiError that the API answered with. */
export async function unwrap<T>(
  call: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw ApiError.from(error, response);
  return data as T;
}
