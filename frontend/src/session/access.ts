import { useQuery } from "@tanstack/react-query";
import { ApiError } from "../api/api-error";
import { api, unwrap } from "../api/client";
import { useApiKey } from "./key";

/** `open` asks nobody for a key, `granted` has let this one in, `refused` wants another. */
export type Access = "open" | "granted" | "refused";

export const ACCESS = "access";

/** How the API takes us, by asking it for something that needs a key wherever keys are on. */
export function useAccess() {
  const key = useApiKey();
  return useQuery({
    queryKey: [ACCESS, key],
    queryFn: async ({ signal }): Promise<Access> => {
      try {
        await unwrap(api.GET("/v1/payments", { params: { query: { limit: 1 } }, signal }));
        return key === null ? "open" : "granted";
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return "refused";
        throw error;
      }
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
}
