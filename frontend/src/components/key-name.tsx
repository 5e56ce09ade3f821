/** The name of an API key, with its id: two keys may have one name. */
export function KeyName({ name, id }: { name: string; id: string | null }) {
  return (
    <>
      {name}
      {id && <code className="ml-1 font-mono text-[0.6875rem] break-all text-muted">{id}</code>}
    </>
  );
}
