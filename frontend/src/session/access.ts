import { useQuery } from "@tanstack/react-query";
import { ApiError } from "../api/api-error";
import { api, unwrap } from "../api/client";
import { useApiKey } from "./key";

/** `open`: the API needs no key. `granted`: our key is valid. `denied`: the API needs another key. */
export type Access = "open" | "granted" | "denied";

export const ACCESS_KEY = "access";

/** Find out whether the API accepts us, by a request that needs a key if keys are on. */
export function useAccess() {
  const key = useApiKey();
  return useQuery({
    queryKey: [ACCESS_KEY, key],
    queryFn: async ({ signal }): Promise<Access> => {
      try {
        await unwrap(api.GET("/v1/payments", { params: { query: { limit: 1 } }, signal }));
        return key === null ? "open" : "granted";
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return "denied";
        throw error;
      }
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
}
