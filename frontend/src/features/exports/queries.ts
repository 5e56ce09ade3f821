import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "../../api/client";
import { pollEvery } from "../../api/retry";
import type { components } from "../../api/schema";
import { csvLayout } from "./csv-layout";

export type Export = components["schemas"]["Export"];
export type NewExport = Pick<components["schemas"]["CreateExport"], "resource" | "filters">;

export const PAGE_SIZE = 20;
const POLL_MS = 1_000;
/** Links last for 15 minutes. */
const NEW_LINK_MS = 10 * 60_000;

/** One export, polled until it ends; then now and then, for a link that still works. */
export const exportQuery = (id: string) =>
  queryOptions({
    queryKey: ["exports", "one", id],
    queryFn: ({ signal }) =>
      unwrap(api.GET("/v1/exports/{export_id}", { params: { path: { export_id: id } }, signal })),
    refetchInterval: ({ state }) =>
      pollEvery(state.data?.state === "processing" ? POLL_MS : NEW_LINK_MS)({ state }),
  });

export const exportsQuery = (cursor?: string) =>
  queryOptions({
    queryKey: ["exports", "list", cursor],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/v1/exports", {
          params: { query: { limit: PAGE_SIZE, ...(cursor && { cursor }) } },
          signal,
        }),
      ),
    refetchInterval: ({ state }) => {
      const isBusy = state.data?.exports.some((one) => one.state === "processing");
      return pollEvery(isBusy ? POLL_MS : NEW_LINK_MS)({ state });
    },
  });

/** Export a whole filtered list, in the layout of the viewer's spreadsheet. */
export function createExport(of: NewExport, idempotencyKey: string) {
  return unwrap(
    api.POST("/v1/exports", {
      params: {},
      body: { ...of, format: "csv", ...csvLayout(), idempotency_key: idempotencyKey },
    }),
  );
}
