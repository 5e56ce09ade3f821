import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Plus, X } from "lucide-react";
import { type FormEvent, useId, useRef, useState } from "react";
import { answer, api, type Payment } from "../../api/client";
import { Problem } from "../../api/problem";
import { Button } from "../../ui/button";
import { Field, inputLook } from "../../ui/field";
import { PageTitle } from "../../ui/page-title";
import { ProblemNote } from "../../ui/problem-note";
import { EMPTY, faults, requestOf, toldBy, type Wish } from "./new-payment";
import { paymentOf } from "./queries";
import { CURRENCIES, TYPES, typeName } from "./words";

export function NewPage() {
  const [wish, setWish] = useState(EMPTY);
  const [isTried, setTried] = useState(false);
  // One key a form: however often it is sent, it makes one payment.
  const [key, setKey] = useState(() => crypto.randomUUID());
  const form = useRef<HTMLFormElement>(null);
  const navigate = useNavigate();
  const client = useQueryClient();
  const create = useMutation({
    mutationKey: [key],
    mutationFn: (wanted: Wish) =>
      answer(api.POST("/v1/payments", { body: requestOf(wanted, key), params: {} })),
  });
  /** Only from here: who has gone elsewhere meanwhile is left there. */
  const follow = (payment: Payment) => {
    client.setQueryData(paymentOf(payment.id).queryKey, payment);
    return navigate({ to: "/payments/$id", params: { id: payment.id }, replace: true });
  };

  const refusal = create.error instanceof Problem ? create.error : undefined;
  const { told, rest } = toldBy(refusal?.fields ?? []);
  const found = { ...told, ...(isTried ? faults(wish) : {}) };
  const change = (part: Partial<Wish>) => {
    setWish({ ...wish, ...part });
    if (!create.isPending) create.reset();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (Object.keys(faults(wish)).length > 0) {
      requestAnimationFrame(() =>
        form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus(),
      );
      return;
    }
    // Not by `isPending`, which a double click is faster than.
    if (client.isMutating({ mutationKey: [key] }) === 0) create.mutate(wish, { onSuccess: follow });
  };
  const startAnew = () => {
    setKey(crypto.randomUUID());
    create.reset();
  };

  return (
    <div className="max-w-xl">
      <PageTitle title="New payment" />
      <form
        ref={form}
        onSubmit={submit}
        noValidate
        className="space-y-4 rounded-xl border border-line bg-surface p-5"
      >
        <Field label="Merchant" error={found.merchant}>
          {(wiring) => (
            <input
              {...wiring}
              required
              autoComplete="organization"
              value={wish.merchant}
              onChange={(event) => change({ merchant: event.target.value })}
            />
          )}
        </Field>
        <div className="grid gap-4 sm:grid-cols-[1fr_7rem_9rem]">
          <Field label="Amount" error={found.amount}>
            {(wiring) => (
              <input
                {...wiring}
                required
                inputMode="decimal"
                autoComplete="off"
                placeholder="0.00"
                value={wish.amount}
                onChange={(event) => change({ amount: event.target.value })}
              />
            )}
          </Field>
          <Field label="Currency" error={found.currency}>
            {(wiring) => (
              <select
                {...wiring}
                value={wish.currency}
                onChange={(event) => change({ currency: event.target.value as Wish["currency"] })}
              >
                {CURRENCIES.map((one) => (
                  <option key={one}>{one}</option>
                ))}
              </select>
            )}
          </Field>
          <Field label="Type" error={found.type}>
            {(wiring) => (
              <select
                {...wiring}
                value={wish.type}
                onChange={(event) => change({ type: event.target.value as Wish["type"] })}
              >
                {TYPES.map((one) => (
                  <option key={one} value={one}>
                    {typeName(one)}
                  </option>
                ))}
              </select>
            )}
          </Field>
        </div>
        <Field label="Description" hint="Optional." error={found.description}>
          {(wiring) => (
            <textarea
              {...wiring}
              rows={2}
              value={wish.description}
              onChange={(event) => change({ description: event.target.value })}
            />
          )}
        </Field>
        <Metadata
          pairs={wish.metadata}
          error={found.metadata}
          change={(metadata) => change({ metadata })}
        />
        {create.error && rest && <ProblemNote error={create.error} />}
        <div className="flex flex-wrap items-center gap-3">
          <Button type="submit" look="primary" disabled={create.isPending}>
            {create.isPending ? "Making the payment…" : "Make the payment"}
          </Button>
          {refusal?.code === "idempotency_key_reused" && (
            <Button onClick={startAnew}>This is another payment</Button>
          )}
        </div>
        {refusal?.code === "unreachable" && (
          <p className="text-xs text-muted">
            The payment may have been made all the same. Sending this form again is safe: it makes
            no second one.
          </p>
        )}
      </form>
    </div>
  );
}

function Metadata({
  pairs,
  error,
  change,
}: {
  pairs: Wish["metadata"];
  error: string | undefined;
  change: (pairs: Wish["metadata"]) => void;
}) {
  const next = useRef(1);
  const said = useId();
  const put = (id: number, part: { name?: string; value?: string }) =>
    change(pairs.map((pair) => (pair.id === id ? { ...pair, ...part } : pair)));
  return (
    <fieldset aria-describedby={said}>
      <legend className="mb-1 text-sm font-medium">Metadata</legend>
      <p id={said} className={`mb-2 text-xs ${error ? "text-bad" : "text-muted"}`}>
        {error ?? (
          <>
            Your own names and values. Where simulation is allowed, <code>simulate</code> steers the
            outcome: <code>completed</code>, <code>failed:insufficient_funds</code>,{" "}
            <code>pending</code>.
          </>
        )}
      </p>
      <ul className="space-y-2">
        {pairs.map((pair, index) => (
          <li key={pair.id} className="flex gap-2">
            <input
              aria-label={`Name ${index + 1}`}
              aria-invalid={error !== undefined && !pair.name}
              className={`${inputLook(error !== undefined && !pair.name)} font-mono`}
              placeholder="name"
              maxLength={40}
              value={pair.name}
              onChange={(event) => put(pair.id, { name: event.target.value })}
            />
            <input
              aria-label={`Value ${index + 1}`}
              className={`${inputLook()} font-mono`}
              placeholder="value"
              maxLength={500}
              value={pair.value}
              onChange={(event) => put(pair.id, { value: event.target.value })}
            />
            <Button
              look="quiet"
              aria-label={`Remove entry ${index + 1}`}
              onClick={() => change(pairs.filter((one) => one.id !== pair.id))}
            >
              <X className="size-4" aria-hidden="true" />
            </Button>
          </li>
        ))}
      </ul>
      <Button
        look="quiet"
        className="mt-1"
        onClick={() => change([...pairs, { id: next.current++, name: "", value: "" }])}
      >
        <Plus className="size-4" aria-hidden="true" />
        Add an entry
      </Button>
    </fieldset>
  );
}
