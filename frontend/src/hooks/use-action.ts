import { type QueryKey, useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId } from "react";

/** Runs an action, one at a time, and has what it `touched` asked for anew. */
export function useAction<In, Out>(
  action: (input: In) => Promise<Out>,
  touched: QueryKey,
  done: (made: Out) => unknown = () => {},
) {
  const client = useQueryClient();
  const mutationKey = [useId()];
  const mutation = useMutation({
    mutationKey,
    mutationFn: action,
    onSettled: () => client.invalidateQueries({ queryKey: touched }),
  });
  const run = (input: In) => {
    // Not by `isPending`, which a double click is faster than.
    if (client.isMutating({ mutationKey }) === 0) mutation.mutate(input, { onSuccess: done });
  };
  const submit = (input: In) => (event: FormEvent) => {
    event.preventDefault();
    run(input);
  };
  return { ...mutation, run, submit };
}
