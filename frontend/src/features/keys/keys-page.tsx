import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { type ReactNode, useState } from "react";
import type { ApiKey } from "../../api/client";
import { Button } from "../../components/button";
import { ErrorAlert } from "../../components/error-alert";
import { PageTitle } from "../../components/page-title";
import { Time } from "../../components/time";
import { CreateDialog, RevokeDialog, RollDialog } from "./key-dialogs";
import { keysQuery } from "./queries";

export function KeysPage() {
  const keys = useQuery(keysQuery);
  const [dialog, open] = useState<ReactNode>();
  const close = () => open(undefined);
  return (
    <>
      <PageTitle
        title="API keys"
        actions={
          <Button onClick={() => open(<CreateDialog close={close} />)}>
            <Plus className="size-4" aria-hidden="true" />
            New key
          </Button>
        }
      />
      {keys.error && <ErrorAlert error={keys.error} retry={() => keys.refetch()} />}
      {keys.isPending && <p role="status">Loading the keys…</p>}
      {keys.data && keys.data.api_keys.length === 0 && (
        <p className="rounded-xl border border-dashed border-border p-10 text-center text-muted">
          There is no key yet.
        </p>
      )}
      <ul className="space-y-3">
        {keys.data?.api_keys.map((key) => (
          <Key
            key={key.id}
            apiKey={key}
            roll={() => open(<RollDialog rolled={key} close={close} />)}
            revoke={() => open(<RevokeDialog revoked={key} close={close} />)}
          />
        ))}
      </ul>
      {dialog}
    </>
  );
}

/** Where a key is in its life, by the clock of who looks. */
export function stateOf({ revoked_at, expires_at }: ApiKey, now = Date.now()) {
  const past = (at: string | null) => at !== null && Date.parse(at) <= now;
  if (past(revoked_at)) return "revoked";
  return past(expires_at) ? "expired" : "active";
}

function Key({ apiKey, roll, revoke }: { apiKey: ApiKey; roll: () => void; revoke: () => void }) {
  const state = stateOf(apiKey);
  return (
    <li className="flex flex-wrap items-center gap-x-6 gap-y-3 rounded-xl border border-border bg-surface p-4">
      <div className="min-w-0 flex-1 basis-52">
        <p className={`font-medium break-words ${state === "active" ? "" : "text-muted"}`}>
          {apiKey.name}
        </p>
        <p className="text-xs break-all text-muted">
          {apiKey.scopes.join(", ")} · <code className="font-mono">{apiKey.id}</code>
        </p>
      </div>
      <dl className="grid flex-1 basis-80 grid-cols-3 gap-3 text-xs">
        <Moment name="Created" at={apiKey.created_at} />
        <Moment name="Last used" at={apiKey.last_used_at} none="never" />
        {apiKey.revoked_at ? (
          <Moment name={state === "revoked" ? "Revoked" : "Ends"} at={apiKey.revoked_at} />
        ) : (
          <Moment
            name={state === "expired" ? "Expired" : "Expires"}
            at={apiKey.expires_at}
            none="never"
          />
        )}
      </dl>
      {state === "active" && (
        <div className="flex gap-2">
          <Button onClick={roll} aria-label={`Roll ${apiKey.name}`}>
            Roll
          </Button>
          <Button variant="danger" onClick={revoke} aria-label={`Revoke ${apiKey.name}`}>
            Revoke
          </Button>
        </div>
      )}
    </li>
  );
}

function Moment({ name, at, none = "" }: { name: string; at: string | null; none?: string }) {
  return (
    <div>
      <dt className="text-muted">{name}</dt>
      <dd>{at ? <Time at={at} /> : none}</dd>
    </div>
  );
}
