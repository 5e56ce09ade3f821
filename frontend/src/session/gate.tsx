import { Shell } from "../shell/shell";
import { Button } from "../ui/button";
import { ProblemNote } from "../ui/problem-note";
import { useAccess } from "./access";
import { dropKey, useHeldKey } from "./key";
import { SignIn } from "./sign-in";

/** Lets in whom the API lets in. */
export function Gate() {
  const key = useHeldKey();
  const access = useAccess();
  if (access.data === "refused") {
    return (
      <SignIn refused={key !== null} busy={access.isFetching} again={() => void access.refetch()} />
    );
  }
  if (access.data) return <Shell access={access.data} />;
  return (
    <main className="mx-auto max-w-lg p-4 pt-24">
      {access.error ? (
        <>
          <ProblemNote error={access.error} retry={() => access.refetch()} />
          {key !== null && (
            <Button look="quiet" className="mt-2" onClick={dropKey}>
              Sign out
            </Button>
          )}
        </>
      ) : (
        <p role="status" className="text-center text-muted">
          Asking the API…
        </p>
      )}
    </main>
  );
}
