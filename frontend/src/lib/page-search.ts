/** The page of a list without filters, as stored in the URL. */
export type PageSearch = { cursor?: string };

export const parsePageSearch = ({ cursor }: Record<string, unknown>): PageSearch =>
  typeof cursor === "string" && cursor ? { cursor } : {};
