/** The page of the list of exports, as stored in the URL. */
export type ExportsSearch = { cursor?: string };

export const parseExportsSearch = ({ cursor }: Record<string, unknown>): ExportsSearch =>
  typeof cursor === "string" && cursor ? { cursor } : {};
