import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { type ReactNode, useState } from "react";
import type { ApiKey } from "../../api/client";
import { Button } from "../../components/button";
import { EmptyState } from "../../components/empty-state";
import { ErrorAlert } from "../../components/error-alert";
import { KeyName } from "../../components/key-name";
import { PageTitle } from "../../components/page-title";
import { Time } from "../../components/time";
import { CreateKeyDialog, RevokeKeyDialog, RollKeyDialog } from "./key-dialogs";
import { keysQuery } from "./queries";

export function KeysPage() {
  const keys = useQuery(keysQuery);
  const [dialog, setDialog] = useState<ReactNode>();
  const closeDialog = () => setDialog(undefined);
  return (
    <>
      <PageTitle
        title="API keys"
        actions={
          <Button onClick={() => setDialog(<CreateKeyDialog onClose={closeDialog} />)}>
            <Plus className="size-4" aria-hidden="true" />
            New key
          </Button>
        }
      />
      {keys.error && <ErrorAlert error={keys.error} retry={() => keys.refetch()} />}
      {keys.isPending && <p role="status">Loading API keys…</p>}
      {keys.data && keys.data.api_keys.length === 0 && <EmptyState title="No API keys yet" />}
      <ul className="space-y-3">
        {keys.data?.api_keys.map((key) => (
          <KeyRow
            key={key.id}
            apiKey={key}
            onRoll={() => setDialog(<RollKeyDialog apiKey={key} onClose={closeDialog} />)}
            onRevoke={() => setDialog(<RevokeKeyDialog apiKey={key} onClose={closeDialog} />)}
          />
        ))}
      </ul>
      {dialog}
    </>
  );
}

/** The status of a key by the viewer's clock. */
function keyStatus({ revoked_at, expires_at }: ApiKey, now = Date.now()) {
  const isPast = (at: string | null) => at !== null && Date.parse(at) <= now;
  if (isPast(revoked_at)) return "revoked";
  return isPast(expires_at) ? "expired" : "active";
}

function KeyRow({
  apiKey,
  onRoll,
  onRevoke,
}: {
  apiKey: ApiKey;
  onRoll: () => void;
  onRevoke: () => void;
}) {
  const status = keyStatus(apiKey);
  return (
    <li className="flex flex-wrap items-center gap-x-6 gap-y-3 rounded-xl border border-border bg-surface p-4">
      <div className="min-w-0 flex-1 basis-52">
        <p className={`font-medium break-words ${status === "active" ? "" : "text-muted"}`}>
          {apiKey.name}
        </p>
        <p className="text-xs break-all text-muted">
          {apiKey.scopes.join(", ")} · <code className="font-mono">{apiKey.id}</code>
        </p>
        {apiKey.created_by && (
          <p className="text-xs break-words text-muted">
            Created by <KeyName name={apiKey.created_by} id={apiKey.created_by_id} />
          </p>
        )}
      </div>
      <dl className="grid flex-1 basis-80 grid-cols-3 gap-3 text-xs">
        <KeyDate label="Created" at={apiKey.created_at} />
        <KeyDate label="Last used" at={apiKey.last_used_at} />
        {apiKey.revoked_at ? (
          <KeyDate
            label={status === "revoked" ? "Revoked" : "Valid until"}
            at={apiKey.revoked_at}
          />
        ) : (
          <KeyDate label={status === "expired" ? "Expired" : "Expires"} at={apiKey.expires_at} />
        )}
      </dl>
      {status === "active" && (
        <div className="flex gap-2">
          <Button onClick={onRoll} aria-label={`Roll ${apiKey.name}`}>
            Roll
          </Button>
          <Button variant="danger" onClick={onRevoke} aria-label={`Revoke ${apiKey.name}`}>
            Revoke
          </Button>
        </div>
      )}
    </li>
  );
}

function KeyDate({ label, at }: { label: string; at: string | null }) {
  return (
    <div>
      <dt className="text-muted">{label}</dt>
      <dd>{at ? <Time at={at} /> : "Never"}</dd>
    </div>
  );
}
