import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { Button } from "../../components/button";
import { Card } from "../../components/card";
import { CopyButton } from "../../components/copy-button";
import { KeyName } from "../../components/key-name";
import { Time } from "../../components/time";
import { EndpointBadge } from "./badges";
import { DeleteEndpointDialog, EditEndpointDialog, RotateSecretDialog } from "./endpoint-dialogs";
import { subscriptionLabel } from "./labels";
import type { Endpoint } from "./queries";

type Props = {
  endpoint: Endpoint;
  setEnabled: { run: (enabled: boolean) => void; isPending: boolean };
};

/** The settings of an endpoint, and buttons to change them. */
export function EndpointCard({ endpoint, setEnabled }: Props) {
  return (
    <Card title="Endpoint" className="max-lg:order-first">
      <dl className="space-y-3 p-4 text-sm">
        <Property name="Status">
          <EndpointBadge endpoint={endpoint} />
        </Property>
        <Property name="ID">
          <span className="flex items-center gap-1 font-mono text-xs break-all">
            {endpoint.id}
            <CopyButton text={endpoint.id} label="endpoint ID" />
          </span>
        </Property>
        {endpoint.description && <Property name="Description">{endpoint.description}</Property>}
        <Property name="Events">{subscriptionLabel(endpoint)}</Property>
        {endpoint.created_by && (
          <Property name="Created by">
            <KeyName name={endpoint.created_by} id={endpoint.created_by_id ?? null} />
          </Property>
        )}
        {endpoint.failing_since && (
          <Property name="Failing since">
            <Time at={endpoint.failing_since} format="exact" />
          </Property>
        )}
        {endpoint.old_secret_expires_at && (
          <Property name="Old secret valid until">
            <Time at={endpoint.old_secret_expires_at} format="exact" />
          </Property>
        )}
      </dl>
      <EndpointActions endpoint={endpoint} setEnabled={setEnabled} />
    </Card>
  );
}

function EndpointActions({ endpoint, setEnabled }: Props) {
  const navigate = useNavigate();
  const [dialog, setDialog] = useState<ReactNode>();
  const dialogProps = { endpoint, onClose: () => setDialog(undefined) };
  const goToList = () => navigate({ to: "/webhooks" });
  return (
    <div className="flex flex-wrap gap-2 border-t border-border p-4">
      <Button onClick={() => setDialog(<EditEndpointDialog {...dialogProps} />)}>Edit</Button>
      <Button onClick={() => setDialog(<RotateSecretDialog {...dialogProps} />)}>
        Rotate secret
      </Button>
      {endpoint.enabled && (
        <Button disabled={setEnabled.isPending} onClick={() => setEnabled.run(false)}>
          Disable
        </Button>
      )}
      <Button
        variant="danger"
        onClick={() => setDialog(<DeleteEndpointDialog {...dialogProps} onDeleted={goToList} />)}
      >
        Delete
      </Button>
      {dialog}
    </div>
  );
}

function Property({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="break-words">{children}</dd>
    </div>
  );
}
