import { Button } from "../components/button";
import { ErrorAlert } from "../components/error-alert";
import { AppLayout } from "../layout/app-layout";
import { useAccess } from "./access";
import { clearApiKey, useApiKey } from "./key";
import { SignInPage } from "./sign-in-page";

/** Shows the dashboard if the API accepts us, and the sign-in page if it does not. */
export function AuthGate() {
  const key = useApiKey();
  const access = useAccess();
  if (access.data === "denied") {
    return (
      <SignInPage
        denied={key !== null}
        busy={access.isFetching}
        retry={() => void access.refetch()}
      />
    );
  }
  if (access.data) return <AppLayout access={access.data} />;
  return (
    <main className="mx-auto max-w-lg p-4 pt-24">
      {access.error ? (
        <>
          <ErrorAlert error={access.error} retry={() => access.refetch()} />
          {key !== null && (
            <Button variant="ghost" className="mt-2" onClick={clearApiKey}>
              Sign out
            </Button>
          )}
        </>
      ) : (
        <p role="status" className="text-center text-muted">
          Connecting…
        </p>
      )}
    </main>
  );
}
