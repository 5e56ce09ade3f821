import { expect, it } from "vitest";
import { parseLogsSearch } from "./logs-search";

it.each([
  [{ status: 404 }, { status: "404" }],
  [
    { status: "4xx", path: "/v1/payments" },
    { status: "4xx", path: "/v1/payments" },
  ],
  [{ status: "paid", path: "" }, {}],
  [{ status: 99, other: 1 }, {}],
])("parseLogsSearch reads %o as %o", (params, search) => {
  expect(parseLogsSearch(params)).toEqual(search);
});
