import { useState } from "react";
import { ApiError } from "../../api/api-error";
import { Dialog, DialogButtons } from "../../components/dialog";
import { ErrorAlert } from "../../components/error-alert";
import { Field } from "../../components/field";
import { SecretDialog } from "../../components/secret-dialog";
import { useAction } from "../../hooks/use-action";
import { startOfDay, today } from "../../lib/dates";
import { EVENT_LABELS } from "./labels";
import {
  createEndpoint,
  deleteEndpoint,
  type Endpoint,
  type EndpointFormValues,
  type NewEndpoint,
  replayFailed,
  rotateSecret,
  updateEndpoint,
  WEBHOOKS,
} from "./queries";

export function CreateDialog({ close }: { close: () => void }) {
  const create = useAction(createEndpoint, WEBHOOKS);
  if (create.data) return <Shown made={create.data} close={close} />;
  return (
    <EndpointForm title="New endpoint" action="Make the endpoint" run={create} close={close} />
  );
}

export function EditDialog({ endpoint, close }: { endpoint: Endpoint; close: () => void }) {
  const update = useAction(
    (wish: EndpointFormValues) => updateEndpoint(endpoint.id, wish),
    WEBHOOKS,
    close,
  );
  const { url, events } = endpoint;
  return (
    <EndpointForm
      title="Change this endpoint"
      action="Save"
      start={{ url, events, description: endpoint.description ?? "" }}
      run={update}
      close={close}
    />
  );
}

const EMPTY: EndpointFormValues = { url: "", description: "", events: ["*"] };

function EndpointForm({
  title,
  action,
  start = EMPTY,
  run,
  close,
}: {
  title: string;
  action: string;
  start?: EndpointFormValues;
  run: {
    submit: (wish: EndpointFormValues) => React.FormEventHandler;
    error: Error | null;
    isPending: boolean;
  };
  close: () => void;
}) {
  const [wish, setWish] = useState(start);
  const told = run.error instanceof ApiError ? run.error.fields : [];
  const said = (field: string) => told.find((one) => one.field === field)?.message;
  const isShown = told.length > 0 && told.every(({ field }) => field in EMPTY);
  const all = wish.events.includes("*");
  return (
    <Dialog title={title} close={close} busy={run.isPending}>
      <form onSubmit={run.submit(wish)} className="space-y-4">
        <Field
          label="URL"
          hint="https, on the public internet. It is sent signed POSTs."
          error={said("url")}
        >
          {(inputProps) => (
            <input
              {...inputProps}
              required
              inputMode="url"
              autoComplete="off"
              spellCheck={false}
              placeholder="https://example.com/webhooks"
              value={wish.url}
              onChange={(event) => setWish({ ...wish, url: event.target.value })}
            />
          )}
        </Field>
        <Field label="Description" hint="Optional." error={said("description")}>
          {(inputProps) => (
            <input
              {...inputProps}
              autoComplete="off"
              value={wish.description}
              onChange={(event) => setWish({ ...wish, description: event.target.value })}
            />
          )}
        </Field>
        <fieldset>
          <legend className="mb-1 text-sm font-medium">What it is sent</legend>
          {said("events") && <p className="text-xs text-danger">{said("events")}</p>}
          <label className="flex items-center gap-2.5 py-1 text-sm">
            <input
              type="checkbox"
              className="accent-accent"
              checked={all}
              onChange={() => setWish({ ...wish, events: all ? [] : ["*"] })}
            />
            Everything, later kinds of events too
          </label>
          <div className="grid sm:grid-cols-2">
            {EVENT_LABELS.map(([event, name]) => (
              <label key={event} className="flex items-center gap-2.5 py-1 text-sm">
                <input
                  type="checkbox"
                  className="accent-accent"
                  disabled={all}
                  checked={all || wish.events.includes(event)}
                  onChange={() =>
                    setWish({
                      ...wish,
                      events: wish.events.includes(event)
                        ? wish.events.filter((one) => one !== event)
                        : [...wish.events, event],
                    })
                  }
                />
                {name}
              </label>
            ))}
          </div>
        </fieldset>
        {run.error && !isShown && <ErrorAlert error={run.error} />}
        <DialogButtons close={close} busy={run.isPending} action={action} />
      </form>
    </Dialog>
  );
}

export function RotateDialog({ endpoint, close }: { endpoint: Endpoint; close: () => void }) {
  const rotate = useAction(() => rotateSecret(endpoint.id), WEBHOOKS);
  if (rotate.data) return <Shown made={rotate.data} close={close} />;
  return (
    <Dialog title="Rotate the secret" close={close} busy={rotate.isPending}>
      <form onSubmit={rotate.submit(undefined)} className="space-y-4">
        <p className="text-sm">
          The endpoint gets a new secret. For 24 hours the old one signs along, so that nothing is
          refused while you change over.
        </p>
        {rotate.error && <ErrorAlert error={rotate.error} />}
        <DialogButtons close={close} busy={rotate.isPending} action="Rotate it" />
      </form>
    </Dialog>
  );
}

export function DeleteDialog({
  endpoint,
  close,
  done,
}: {
  endpoint: Endpoint;
  close: () => void;
  done: () => unknown;
}) {
  // Gone from here first: what is asked for anew no longer has the endpoint, nor this dialog.
  const remove = useAction(async () => {
    await deleteEndpoint(endpoint.id);
    await done();
  }, WEBHOOKS);
  return (
    <Dialog title="Delete this endpoint?" close={close} busy={remove.isPending}>
      <form onSubmit={remove.submit(undefined)} className="space-y-4">
        <p className="text-sm break-words">
          {endpoint.url} will be sent nothing any more, and what is on its way to it is given up.
        </p>
        {remove.error && <ErrorAlert error={remove.error} />}
        <DialogButtons close={close} busy={remove.isPending} action="Delete it" danger />
      </form>
    </Dialog>
  );
}

export function ReplayDialog({ endpoint, close }: { endpoint: Endpoint; close: () => void }) {
  const [day, setDay] = useState(today);
  const again = useAction(() => replayFailed(endpoint.id, startOfDay(day)), WEBHOOKS);
  return (
    <Dialog title="Replay what has failed" close={close} busy={again.isPending}>
      <form onSubmit={again.submit(undefined)} className="space-y-4">
        <p className="text-sm">
          Every failed delivery of this endpoint since that day is made again, under the same
          webhook-id: an endpoint that has seen it can tell.
        </p>
        <Field label="Since">
          {(inputProps) => (
            <input
              {...inputProps}
              type="date"
              required
              value={day}
              onChange={(event) => setDay(event.target.value)}
            />
          )}
        </Field>
        {again.error && <ErrorAlert error={again.error} />}
        {again.data !== undefined && (
          <p role="status" className="text-sm">
            {again.data === 1
              ? "1 delivery is due again."
              : `${again.data} deliveries are due again.`}
          </p>
        )}
        <DialogButtons close={close} busy={again.isPending} action="Replay them" />
      </form>
    </Dialog>
  );
}

function Shown({ made, close }: { made: NewEndpoint; close: () => void }) {
  return (
    <SecretDialog
      title="The endpoint's secret"
      secret={made.secret}
      what="the secret"
      close={close}
    >
      It is shown this once. With it the endpoint tells our webhooks from anybody else's.
    </SecretDialog>
  );
}
