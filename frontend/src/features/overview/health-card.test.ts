import { expect, test } from "vitest";
import { ApiError } from "../../api/api-error";
import { words } from "./health-card";

const away = new ApiError({ status: 503, code: "unavailable", title: "Away" });

test("health is what the last answer says, whatever the one before it said", () => {
  expect(words(null, false)).toEqual({ api: "…", behind: "…" });
  expect(words(null, true)).toEqual({ api: "answers", behind: "answer" });
  expect(words(away, true)).toEqual({ api: "answers", behind: "not well" });
  expect(words(ApiError.unreachable(), true)).toEqual({
    api: "does not answer",
    behind: "unknown",
  });
  expect(words(ApiError.unexpectedResponse(502), true).api).toBe("does not answer");
});
