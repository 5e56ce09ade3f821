import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { FileDown, LoaderCircle } from "lucide-react";
import { useRef } from "react";
import { BUTTON_VARIANTS, Button } from "../../components/button";
import { ErrorAlert } from "../../components/error-alert";
import { DownloadLink } from "./download-link";
import { failureLabel, rowsLabel } from "./labels";
import { createExport, exportQuery, type NewExport } from "./queries";

/** Exports the whole filtered list as a CSV file: shows the progress, then the link. */
export function ExportButton({ of }: { of: NewExport }) {
  const keyRef = useRef<string>(undefined);
  const { data, error, isPending, mutate } = useMutation({
    mutationFn: () => {
      keyRef.current ??= crypto.randomUUID(); // another try is the same export
      return createExport(of, keyRef.current);
    },
    onSuccess: () => {
      keyRef.current = undefined;
    },
  });
  return (
    <>
      <Link to="/exports" className={`${BUTTON_VARIANTS.ghost} sm:ml-auto`}>
        Past exports
      </Link>
      <Button onClick={() => mutate()} disabled={isPending}>
        <FileDown className="size-4" aria-hidden="true" />
        Export CSV
      </Button>
      {data && <Progress key={data.id} id={data.id} />}
      {error && (
        <div className="basis-full">
          <ErrorAlert error={error} retry={() => mutate()} />
        </div>
      )}
    </>
  );
}

function Progress({ id }: { id: string }) {
  const { data, error, refetch } = useQuery(exportQuery(id));
  if (error) {
    return (
      <div className="basis-full">
        <ErrorAlert error={error} retry={() => refetch()} />
      </div>
    );
  }
  return (
    <div className="flex basis-full flex-wrap items-center justify-end gap-3 text-sm">
      <p role="status" className="flex items-center gap-2 text-muted">
        {(!data || data.state === "processing") && (
          <>
            <LoaderCircle className="size-4 animate-spin" aria-hidden="true" />
            Exporting… {rowsLabel(data?.rows ?? 0)} so far
          </>
        )}
        {data?.state === "completed" && `Export ready: ${rowsLabel(data.rows)}`}
        {data?.state === "failed" && (
          <span className="text-danger">Export failed. {failureLabel(data)}</span>
        )}
      </p>
      {data && <DownloadLink of={data} variant="primary" />}
    </div>
  );
}
