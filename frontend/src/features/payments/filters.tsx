import { useNavigate } from "@tanstack/react-router";
import { Search } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { Button } from "../../components/button";
import { inputClass } from "../../components/field";
import { isValidDate } from "../../lib/dates";
import { CURRENCIES, STATUSES, statusLabel, TYPES, typeLabel } from "./labels";
import type { PaymentsSearch } from "./payments-search";

type Option = readonly [value: string, name: string];

const CHOICES: readonly [keyof PaymentsSearch, string, readonly Option[]][] = [
  ["status", "Status", STATUSES.map((one) => [one, statusLabel(one)])],
  ["type", "Type", TYPES.map((one) => [one, typeLabel(one)])],
  ["currency", "Currency", CURRENCIES.map((one) => [one, one])],
];
const DAYS = [
  ["from", "From"],
  ["to", "To"],
] as const;

/** Every choice is at once in the address; the list follows the address. */
export function Filters({ search }: { search: PaymentsSearch }) {
  const navigate = useNavigate({ from: "/payments" });
  const choose = (name: keyof PaymentsSearch, value: string) =>
    navigate({
      search: ({ cursor: _, [name]: __, ...rest }) => (value ? { ...rest, [name]: value } : rest),
    });
  const isFiltered = Object.keys(search).some((name) => name !== "cursor");
  return (
    <search className="grid grid-cols-2 items-end gap-3 md:flex md:flex-wrap">
      {CHOICES.map(([name, label, options]) => (
        <label key={name} className="text-xs font-medium text-muted">
          {label}
          <select
            className={`${inputClass()} mt-1 block`}
            value={search[name] ?? ""}
            onChange={(event) => choose(name, event.target.value)}
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
      {DAYS.map(([name, label]) => (
        <DayInput
          key={name}
          label={label}
          day={search[name] ?? ""}
          choose={(day) => choose(name, day)}
        />
      ))}
      {isFiltered && (
        <Button variant="ghost" onClick={() => navigate({ search: {} })}>
          Show all
        </Button>
      )}
      <FindById />
    </search>
  );
}

/** A year that is being typed passes through others (0002, 0020), which nobody means. */
function DayInput({
  label,
  day,
  choose,
}: {
  label: string;
  day: string;
  choose: (day: string) => void;
}) {
  const [typed, setTyped] = useState<{ text: string; over: string }>();
  if (typed && typed.over !== day) setTyped(undefined);
  return (
    <label className="text-xs font-medium text-muted">
      {label}
      <input
        type="date"
        className={`${inputClass()} mt-1 block`}
        value={typed?.text ?? day}
        onChange={({ target: { value } }) => {
          setTyped({ text: value, over: day });
          if (value === "" || isValidDate(value)) choose(value);
        }}
        onBlur={() => setTyped(undefined)}
      />
    </label>
  );
}

function FindById() {
  const navigate = useNavigate();
  const id = useId();
  const find = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const wanted = String(new FormData(event.currentTarget).get("id")).trim().toUpperCase();
    if (wanted) void navigate({ to: "/payments/$id", params: { id: wanted } });
  };
  return (
    <form
      onSubmit={find}
      className="col-span-2 min-w-48 flex-1 text-xs font-medium text-muted md:max-w-sm md:ml-auto"
    >
      <label htmlFor={id}>Find a payment</label>
      <span className="mt-1 flex gap-1">
        <input
          id={id}
          name="id"
          placeholder="PAY-…"
          required
          spellCheck={false}
          autoComplete="off"
          className={`${inputClass()} font-mono`}
        />
        <Button type="submit" aria-label="Find">
          <Search className="size-4" aria-hidden="true" />
        </Button>
      </span>
    </form>
  );
}
