import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Plus, X } from "lucide-react";
import { useId, useRef } from "react";
import { answer, api } from "../../api/client";
import { Button } from "../../ui/button";
import { Field, inputLook } from "../../ui/field";
import { PageTitle } from "../../ui/page-title";
import { ProblemNote } from "../../ui/problem-note";
import { useKeyedForm } from "./keyed-form";
import { EMPTY, faults, requestOf, type Wish } from "./new-payment";
import { paymentOf } from "./queries";
import { CURRENCIES, TYPES, typeName } from "./words";

export function NewPage() {
  const navigate = useNavigate();
  const client = useQueryClient();
  const { form, wish, found, error, code, isPending, change, submit, startAnew } = useKeyedForm({
    empty: EMPTY,
    faults,
    send: (wanted: Wish, key) =>
      answer(api.POST("/v1/payments", { body: requestOf(wanted, key), params: {} })),
    done: (payment) => {
      client.setQueryData(paymentOf(payment.id).queryKey, payment);
      return navigate({ to: "/payments/$id", params: { id: payment.id }, replace: true });
    },
  });

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
        {error && <ProblemNote error={error} />}
        <div className="flex flex-wrap items-center gap-3">
          <Button type="submit" look="primary" disabled={isPending}>
            {isPending ? "Making the payment…" : "Make the payment"}
          </Button>
          {code === "idempotency_key_reused" && (
            <Button onClick={startAnew}>This is another payment</Button>
          )}
        </div>
        {code === "unreachable" && (
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
