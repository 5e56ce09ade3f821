import { queryOptions } from "@tanstack/react-query";
import { answer, api, type Scope } from "../../api/client";

export const keysQuery = queryOptions({
  queryKey: ["api-keys"],
  queryFn: ({ signal }) => answer(api.GET("/v1/api_keys", { signal })),
});

export type NewKey = { name: string; scopes: Scope[]; expires_at: string | null };

export const createKey = (body: NewKey) => answer(api.POST("/v1/api_keys", { body }));

export const rollKey = (id: string, hours: number) =>
  answer(
    api.POST("/v1/api_keys/{key_id}/roll", {
      params: { path: { key_id: id } },
      body: { overlap_hours: hours },
    }),
  );

export const revokeKey = (id: string) =>
  answer(api.DELETE("/v1/api_keys/{key_id}", { params: { path: { key_id: id } } }));
