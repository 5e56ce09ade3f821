import { queryOptions } from "@tanstack/react-query";
import { api, type NewApiKey, type Scope, unwrap } from "../../api/client";
import { endOfDay } from "../../lib/dates";

export const keysQuery = queryOptions({
  queryKey: ["api-keys"],
  queryFn: ({ signal }) => unwrap(api.GET("/v1/api_keys", { signal })),
});

export type KeyFormValues = { name: string; scopes: Scope[]; expires_at: string | null };

/** The key expires at the end of the day in the viewer's time zone; a bare date would mean UTC. */
export const createKey = ({ expires_at: date, ...rest }: KeyFormValues) =>
  unwrap(
    api.POST("/v1/api_keys", { body: { ...rest, expires_at: date && endOfDay(date) } }),
  ) as Promise<NewApiKey>; // without an idempotency key no answer is a repeated one

export const rollKey = (id: string, hours: number) =>
  unwrap(
    api.POST("/v1/api_keys/{key_id}/roll", {
      params: { path: { key_id: id } },
      body: { overlap_hours: hours },
    }),
  );

export const revokeKey = (id: string) =>
  unwrap(api.DELETE("/v1/api_keys/{key_id}", { params: { path: { key_id: id } } }));
