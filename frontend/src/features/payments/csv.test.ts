import { describe, expect, it } from "vitest";
import type { Payment } from "../../api/client";
import { csvCell, csvFormat, toCsv } from "./csv";

const ENGLISH = csvFormat("en-CA");
const FRENCH = csvFormat("fr-CA");

describe("csvCell", () => {
  it.each([
    ["plain", "plain"],
    ["a, b", '"a, b"'],
    ['say "hi"', '"say ""hi"""'],
    ["two\nlines", '"two\nlines"'],
    [null, ""],
    [1250.75, "1250.75"],
    [40, "40.00"],
  ])("writes %j as %j", (value, cell) => {
    expect(csvCell(value, ENGLISH)).toBe(cell);
  });

  it.each([
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    " =1",
    "\t=1",
    "\n=1",
    "\uFF1D1",
    "\uFF0B1",
    "\uFF0D1",
    "\uFF20SUM(A1)",
    "a,=1",
    "a;=1",
    "a|+1",
    "a\n-1",
    'a";=1',
  ])("never writes %j as a formula, whatever the separator", (value) => {
    for (const separator of [",", ";", "|", "\t", "\n"]) {
      for (const part of csvCell(value, ENGLISH).split(separator)) {
        expect(part.replace(/^["\s]+/, "")).not.toMatch(/^[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]/);
      }
    }
  });

  it("writes what spreadsheets of the viewer's locale read", () => {
    expect([ENGLISH.separator, csvCell(1250.75, ENGLISH)]).toEqual([",", "1250.75"]);
    expect([FRENCH.separator, csvCell(1250.75, FRENCH)]).toEqual([";", '"1250,75"']);
    const payment = {
      id: "PAY-1",
      created_at: "2026-11-22T21:57:01.120000Z",
      expected_at: "2026-11-24T13:00:00Z",
      completed_at: null,
      status: "returned",
      merchant: "a; b",
      amount: 12.5,
      amount_refunded: 2.5,
      amount_returned: 12.5,
      currency: "CAD",
      type: "eft",
      direction: "debit",
      failure_code: "901",
      bank_code: "901",
      description: null,
    } as Payment;
    const [header, row] = toCsv([payment], FRENCH).split("\r\n");
    expect(header).toMatch(/^id;created_at_utc;/);
    expect(row).toMatch(/^PAY-1;2026-11-22 21:57:01;/);
    expect(row).toContain('"a; b"');
    expect(header).toContain(";direction;amount_refunded;amount_returned;amount_lost;");
    expect(row).toContain(';debit;"2,50";"12,50";"2,50";901;901;2026-11-24 13:00:00;;');
  });
});
