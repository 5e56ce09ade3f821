import { type QueryKey, useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId } from "react";

/**
 * A mutation that runs once at a time and refetches the queries under `invalidates` when it is done.
 */
export function useAction<Input, Output>(
  action: (input: Input) => Promise<Output>,
  invalidates: QueryKey,
  onSuccess: (output: Output) => unknown = () => {},
) {
  const client = useQueryClient();
  const mutationKey = [useId()];
  const mutation = useMutation({
    mutationKey,
    mutationFn: action,
    onSettled: () => client.invalidateQueries({ queryKey: invalidates }),
  });
  const run = (input: Input) => {
    // A double click is faster than the render that sets `isPending`.
    if (client.isMutating({ mutationKey }) === 0) mutation.mutate(input, { onSuccess });
  };
  const submit = (input: Input) => (event: FormEvent) => {
    event.preventDefault();
    run(input);
  };
  return { ...mutation, run, submit };
}
