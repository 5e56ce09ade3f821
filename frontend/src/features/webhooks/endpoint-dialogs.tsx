import { useState } from "react";
import { Field } from "../../components/field";
import { FormDialog } from "../../components/form-dialog";
import { SecretDialog } from "../../components/secret-dialog";
import { useAction } from "../../hooks/use-action";
import { startOfDay, today } from "../../lib/dates";
import { EMPTY, EndpointFormDialog } from "./endpoint-form-dialog";
import {
  createEndpoint,
  deleteEndpoint,
  type Endpoint,
  type EndpointFormValues,
  type NewEndpoint,
  replayFailedDeliveries,
  rotateSecret,
  updateEndpoint,
  WEBHOOKS_KEY,
} from "./queries";

type DialogProps = { endpoint: Endpoint; onClose: () => void };

export function CreateEndpointDialog({ onClose }: { onClose: () => void }) {
  const create = useAction(createEndpoint, WEBHOOKS_KEY);
  if (create.data) return <EndpointSecretDialog endpoint={create.data} onClose={onClose} />;
  return (
    <EndpointFormDialog
      title="New endpoint"
      submitLabel="Create endpoint"
      initialValues={EMPTY}
      action={create}
      onClose={onClose}
    />
  );
}

export function EditEndpointDialog({ endpoint, onClose }: DialogProps) {
  const update = useAction(
    (values: EndpointFormValues) => updateEndpoint(endpoint.id, values),
    WEBHOOKS_KEY,
    onClose,
  );
  const { url, events, description } = endpoint;
  return (
    <EndpointFormDialog
      title="Edit endpoint"
      submitLabel="Save changes"
      initialValues={{ url, events, description: description ?? "" }}
      action={update}
      onClose={onClose}
    />
  );
}

export function RotateSecretDialog({ endpoint, onClose }: DialogProps) {
  const rotate = useAction(() => rotateSecret(endpoint.id), WEBHOOKS_KEY);
  if (rotate.data) return <EndpointSecretDialog endpoint={rotate.data} onClose={onClose} />;
  return (
    <FormDialog
      title="Rotate signing secret"
      onClose={onClose}
      onSubmit={rotate.submit(undefined)}
      isPending={rotate.isPending}
      error={rotate.error}
      submitLabel="Rotate secret"
    >
      <p className="text-sm">
        This creates a new signing secret. For 24 hours, webhooks are signed with both secrets, so
        that you can switch without downtime.
      </p>
    </FormDialog>
  );
}

export function DeleteEndpointDialog({
  endpoint,
  onClose,
  onDeleted,
}: DialogProps & { onDeleted: () => unknown }) {
  // Leave the page before the queries are refetched: they no longer have this endpoint.
  const remove = useAction(async () => {
    await deleteEndpoint(endpoint.id);
    await onDeleted();
  }, WEBHOOKS_KEY);
  return (
    <FormDialog
      title="Delete endpoint?"
      onClose={onClose}
      onSubmit={remove.submit(undefined)}
      isPending={remove.isPending}
      error={remove.error}
      submitLabel="Delete endpoint"
      danger
    >
      <p className="text-sm break-words">
        PayFlow will send no more webhooks to {endpoint.url}. Pending deliveries are dropped. You
        can't undo this.
      </p>
    </FormDialog>
  );
}

export function ReplayFailedDialog({ endpoint, onClose }: DialogProps) {
  const [date, setDate] = useState(today);
  const replay = useAction(
    () => replayFailedDeliveries(endpoint.id, startOfDay(date)),
    WEBHOOKS_KEY,
  );
  return (
    <FormDialog
      title="Replay failed deliveries"
      onClose={onClose}
      onSubmit={replay.submit(undefined)}
      isPending={replay.isPending}
      error={replay.error}
      submitLabel="Replay deliveries"
    >
      <p className="text-sm">
        Resends every failed delivery since this date. The webhook-id stays the same, so your
        endpoint can detect duplicates.
      </p>
      <Field label="Since">
        {(inputProps) => (
          <input
            {...inputProps}
            type="date"
            required
            value={date}
            onChange={(event) => setDate(event.target.value)}
          />
        )}
      </Field>
      {replay.data !== undefined && (
        <p role="status" className="text-sm">
          {replay.data === 1 ? "1 delivery queued." : `${replay.data} deliveries queued.`}
        </p>
      )}
    </FormDialog>
  );
}

function EndpointSecretDialog({
  endpoint,
  onClose,
}: {
  endpoint: NewEndpoint;
  onClose: () => void;
}) {
  return (
    <SecretDialog
      title="Signing secret"
      secret={endpoint.secret}
      label="signing secret"
      onClose={onClose}
    >
      Copy this secret now and store it safely. Use it to verify that a webhook comes from PayFlow.
      You won't be able to see it again.
    </SecretDialog>
  );
}
