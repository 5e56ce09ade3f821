import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Plus, X } from "lucide-react";
import { useId, useRef } from "react";
import { api, unwrap } from "../../api/client";
import { Button } from "../../components/button";
import { ErrorAlert } from "../../components/error-alert";
import { Field, inputClass } from "../../components/field";
import { PageTitle } from "../../components/page-title";
import { useIdempotentForm } from "./idempotent-form";
import { CURRENCIES, TYPES, typeLabel } from "./labels";
import { EMPTY, fieldErrors, type PaymentFormValues, toPaymentRequest } from "./payment-form";
import { paymentQuery } from "./queries";

export function NewPaymentPage() {
  const navigate = useNavigate();
  const client = useQueryClient();
  const { form, wish, found, error, code, isPending, change, submit, startAnew } =
    useIdempotentForm({
      empty: EMPTY,
      fieldErrors,
      send: (wanted: PaymentFormValues, key) =>
        unwrap(api.POST("/v1/payments", { body: toPaymentRequest(wanted, key), params: {} })),
      done: (payment) => {
        client.setQueryData(paymentQuery(payment.id).queryKey, payment);
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
        className="space-y-4 rounded-xl border border-border bg-surface p-5"
      >
        <Field label="Merchant" error={found.merchant}>
          {(inputProps) => (
            <input
              {...inputProps}
              required
              autoComplete="organization"
              value={wish.merchant}
              onChange={(event) => change({ merchant: event.target.value })}
            />
          )}
        </Field>
        <div className="grid gap-4 sm:grid-cols-[1fr_7rem_9rem]">
          <Field label="Amount" error={found.amount}>
            {(inputProps) => (
              <input
                {...inputProps}
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
            {(inputProps) => (
              <select
                {...inputProps}
                value={wish.currency}
                onChange={(event) =>
                  change({ currency: event.target.value as PaymentFormValues["currency"] })
                }
              >
                {CURRENCIES.map((one) => (
                  <option key={one}>{one}</option>
                ))}
              </select>
            )}
          </Field>
          <Field label="Type" error={found.type}>
            {(inputProps) => (
              <select
                {...inputProps}
                value={wish.type}
                onChange={(event) =>
                  change({ type: event.target.value as PaymentFormValues["type"] })
                }
              >
                {TYPES.map((one) => (
                  <option key={one} value={one}>
                    {typeLabel(one)}
                  </option>
                ))}
              </select>
            )}
          </Field>
        </div>
        <Field label="Description" hint="Optional." error={found.description}>
          {(inputProps) => (
            <textarea
              {...inputProps}
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
        {error && <ErrorAlert error={error} />}
        <div className="flex flex-wrap items-center gap-3">
          <Button type="submit" variant="primary" disabled={isPending}>
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
  pairs: PaymentFormValues["metadata"];
  error: string | undefined;
  change: (pairs: PaymentFormValues["metadata"]) => void;
}) {
  const next = useRef(1);
  const said = useId();
  const put = (id: number, part: { name?: string; value?: string }) =>
    change(pairs.map((pair) => (pair.id === id ? { ...pair, ...part } : pair)));
  return (
    <fieldset aria-describedby={said}>
      <legend className="mb-1 text-sm font-medium">Metadata</legend>
      <p id={said} className={`mb-2 text-xs ${error ? "text-danger" : "text-muted"}`}>
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
              className={`${inputClass(error !== undefined && !pair.name)} font-mono`}
              placeholder="name"
              maxLength={40}
              value={pair.name}
              onChange={(event) => put(pair.id, { name: event.target.value })}
            />
            <input
              aria-label={`Value ${index + 1}`}
              className={`${inputClass()} font-mono`}
              placeholder="value"
              maxLength={500}
              value={pair.value}
              onChange={(event) => put(pair.id, { value: event.target.value })}
            />
            <Button
              variant="ghost"
              aria-label={`Remove entry ${index + 1}`}
              onClick={() => change(pairs.filter((one) => one.id !== pair.id))}
            >
              <X className="size-4" aria-hidden="true" />
            </Button>
          </li>
        ))}
      </ul>
      <Button
        variant="ghost"
        className="mt-1"
        onClick={() => change([...pairs, { id: next.current++, name: "", value: "" }])}
      >
        <Plus className="size-4" aria-hidden="true" />
        Add an entry
      </Button>
    </fieldset>
  );
}
