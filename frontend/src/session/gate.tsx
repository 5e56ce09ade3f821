import { Shell } from "../shell/shell";
import { ProblemNote } from "../ui/problem-note";
import { useAccess } from "./access";
import { useHeldKey } from "./key";
import { SignIn } from "./sign-in";

/** Lets in whom the API lets in. */
export function Gate() {
  const key = useHeldKey();
  const access = useAccess();
  if (access.data === "refused") {
    return <SignIn refused={key !== null} busy={access.isFetching} />;
  }
  if (access.data) return <Shell access={access.data} />;
  return (
    <main className="mx-auto max-w-lg p-4 pt-24">
      {access.error ? (
        <ProblemNote error={access.error} retry={() => access.refetch()} />
      ) : (
        <p role="status" className="text-center text-muted">
          Asking the API…
        </p>
      )}
    </main>
  );
}
