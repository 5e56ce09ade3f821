import { useNavigate } from "@tanstack/react-router";
import { Search } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { Button } from "../../components/button";
import { inputClass } from "../../components/field";
import { isValidDate } from "../../lib/dates";
import { CURRENCIES, STATUSES, statusLabel, TYPES, typeLabel } from "./labels";
import type { PaymentsSearch } from "./payments-search";

type Option = readonly [value: string, label: string];

const SELECTS: readonly [keyof PaymentsSearch, string, readonly Option[]][] = [
  ["status", "Status", STATUSES.map((status) => [status, statusLabel(status)])],
  ["type", "Type", TYPES.map((type) => [type, typeLabel(type)])],
  ["currency", "Currency", CURRENCIES.map((currency) => [currency, currency])],
];
const DATES = [
  ["from", "From"],
  ["to", "To"],
] as const;
const PAYMENT_ID = /^PAY-[0-9A-Z]{26}$/i;
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Filters that write to the URL at once. The list follows the URL. */
export function Filters({ search }: { search: PaymentsSearch }) {
  const navigate = useNavigate({ from: "/payments" });
  const setFilter = (name: keyof PaymentsSearch, value: string) =>
    navigate({
      search: ({ cursor: _, [name]: __, ...rest }) => (value ? { ...rest, [name]: value } : rest),
    });
  const isFiltered = Object.keys(search).some((name) => name !== "cursor");
  return (
    <search className="grid grid-cols-2 items-end gap-3 md:flex md:flex-wrap">
      {SELECTS.map(([name, label, options]) => (
        <label key={name} className="text-xs font-medium text-muted">
          {label}
          <select
            className={`${inputClass()} mt-1 block`}
            value={search[name] ?? ""}
            onChange={(event) => setFilter(name, event.target.value)}
          >
            <option value="">All</option>
            {options.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        </label>
      ))}
      {DATES.map(([name, label]) => (
        <DateInput
          key={name}
          label={label}
          date={search[name] ?? ""}
          onChange={(date) => setFilter(name, date)}
        />
      ))}
      {(search.from || search.to) && (
        <p className="col-span-2 text-xs text-muted">Days are in {ZONE}.</p>
      )}
      {isFiltered && (
        <Button variant="ghost" onClick={() => navigate({ search: {} })}>
          Clear filters
        </Button>
      )}
      <Find key={search.find} text={search.find ?? ""} onFind={(text) => setFilter("find", text)} />
    </search>
  );
}

/** Reports complete dates only: while a year is typed, the browser passes on 0002 and 0020 too. */
function DateInput({
  label,
  date,
  onChange,
}: {
  label: string;
  date: string;
  onChange: (date: string) => void;
}) {
  const [draft, setDraft] = useState<{ text: string; replaces: string }>();
  if (draft && draft.replaces !== date) setDraft(undefined);
  return (
    <label className="text-xs font-medium text-muted">
      {label}
      <input
        type="date"
        className={`${inputClass()} mt-1 block`}
        value={draft?.text ?? date}
        onChange={({ target: { value } }) => {
          setDraft({ text: value, replaces: date });
          if (value === "" || isValidDate(value)) onChange(value);
        }}
        onBlur={() => setDraft(undefined)}
      />
    </label>
  );
}

/** A payment's ID opens the payment. Anything else is a key or a merchant, and filters the list. */
function Find({ text, onFind }: { text: string; onFind: (text: string) => void }) {
  const navigate = useNavigate();
  const inputId = useId();
  const find = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const wanted = String(new FormData(event.currentTarget).get("find")).trim();
    if (PAYMENT_ID.test(wanted)) {
      void navigate({ to: "/payments/$id", params: { id: wanted.toUpperCase() } });
    } else onFind(wanted);
  };
  return (
    <form
      onSubmit={find}
      className="col-span-2 min-w-48 flex-1 text-xs font-medium text-muted md:max-w-sm md:ml-auto"
    >
      <label htmlFor={inputId}>Search</label>
      <span className="mt-1 flex gap-1">
        <input
          id={inputId}
          name="find"
          type="search"
          defaultValue={text}
          placeholder="ID, key or merchant"
          spellCheck={false}
          autoComplete="off"
          className={inputClass()}
        />
        <Button type="submit" aria-label="Search payments">
          <Search className="size-4" aria-hidden="true" />
        </Button>
      </span>
    </form>
  );
}
