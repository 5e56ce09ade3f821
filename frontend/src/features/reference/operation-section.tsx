import { CopyButton } from "../../components/copy-button";
import type { Route } from "./curl-example";
import { type ApiDocument, describeType, type Operation, resolveRef, type Schema } from "./openapi";

/** One operation of the API: its parameters, body, responses and an example. */
export function OperationSection({
  route: { method, path, operation },
  document,
  curl,
}: {
  route: Route;
  document: ApiDocument;
  curl: string;
}) {
  const headingId = `${operation.operationId}-name`;
  return (
    <section
      id={operation.operationId}
      aria-labelledby={headingId}
      className="scroll-mt-4 overflow-hidden rounded-xl border border-border bg-surface"
    >
      <header className="border-b border-border p-4">
        <h2 id={headingId} className="font-semibold">
          {operation.summary}
        </h2>
        <p className="mt-1">
          <MethodLabel method={method} />{" "}
          <code className="font-mono text-sm break-all">{path}</code>
        </p>
        {operation.description && (
          <p className="mt-1 text-sm text-muted">{plainText(operation.description)}</p>
        )}
      </header>
      <div className="space-y-5 p-4">
        <FieldList title="Parameters" fields={parametersOf(operation)} document={document} />
        <FieldList title="Body" fields={bodyFieldsOf(operation, document)} document={document} />
        <Responses operation={operation} />
        <div>
          <div className="flex items-center justify-between">
            <h3 className="text-sm font-medium">Example</h3>
            <CopyButton text={curl} label={`example: ${operation.summary}`} />
          </div>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region needs keyboard access */}
          <pre tabIndex={0} className="overflow-x-auto rounded-lg bg-raised p-3 font-mono text-xs">
            {curl}
          </pre>
        </div>
      </div>
    </section>
  );
}

export function MethodLabel({ method }: { method: string }) {
  return (
    <span className="inline-block w-14 font-mono text-xs font-semibold text-accent uppercase">
      {method}
    </span>
  );
}

/** Strip the code spans: our descriptions use no other Markdown. */
const plainText = (markdown: string) => markdown.replaceAll("`", "");

type Field = { name: string; schema: Schema; required: boolean; description?: string };

const parametersOf = ({ parameters = [] }: Operation): Field[] =>
  parameters.map((parameter) => ({ ...parameter, required: parameter.required ?? false }));

function bodyFieldsOf({ requestBody }: Operation, document: ApiDocument): Field[] {
  const schema = requestBody?.content["application/json"]?.schema;
  const { properties = {}, required = [] } = schema ? resolveRef(schema, document) : {};
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    schema,
    required: required.includes(name),
  }));
}

function FieldList({
  title,
  fields,
  document,
}: {
  title: string;
  fields: readonly Field[];
  document: ApiDocument;
}) {
  if (fields.length === 0) return null;
  return (
    <div>
      <h3 className="mb-1 text-sm font-medium">{title}</h3>
      <dl className="divide-y divide-border text-sm">
        {fields.map(({ name, schema, required, description = schema.description }) => (
          <div key={name} className="flex flex-wrap gap-x-4 py-1.5">
            <dt className="w-44 shrink-0">
              <code className="font-mono">{name}</code>
              {required && <span className="ml-1.5 text-xs text-muted">required</span>}
            </dt>
            <dd className="min-w-0 flex-1 basis-60 break-words">
              {describeType(schema, document)}
              {description && (
                <span className="block text-xs text-muted">{plainText(description)}</span>
              )}
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function Responses({ operation }: { operation: Operation }) {
  return (
    <div>
      <h3 className="mb-1 text-sm font-medium">Responses</h3>
      <dl className="text-sm">
        {Object.entries(operation.responses).map(([status, { description }]) => (
          <div key={status} className="flex gap-3 py-1">
            <dt className="w-10 shrink-0 font-mono">{status}</dt>
            <dd className="min-w-0 break-words text-muted">{plainText(description)}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
