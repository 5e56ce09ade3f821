import { queryOptions } from "@tanstack/react-query";
import { api, type Scope, unwrap } from "../../api/client";
import { endOfDay } from "../../lib/dates";

export const keysQuery = queryOptions({
  queryKey: ["api-keys"],
  queryFn: ({ signal }) => unwrap(api.GET("/v1/api_keys", { signal })),
});

export type NewKey = { name: string; scopes: Scope[]; expires_at: string | null };

/** To the end of the viewer's last day; a day by itself would be UTC's. */
export const createKey = ({ expires_at: day, ...rest }: NewKey) =>
  unwrap(api.POST("/v1/api_keys", { body: { ...rest, expires_at: day && endOfDay(day) } }));

export const rollKey = (id: string, hours: number) =>
  unwrap(
    api.POST("/v1/api_keys/{key_id}/roll", {
      params: { path: { key_id: id } },
      body: { overlap_hours: hours },
    }),
  );

export const revokeKey = (id: string) =>
  unwrap(api.DELETE("/v1/api_keys/{key_id}", { params: { path: { key_id: id } } }));
