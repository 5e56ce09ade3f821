import { Download } from "lucide-react";
import { BUTTON_VARIANTS } from "../../components/button";
import { rowsLabel, sizeLabel } from "./labels";
import type { Export } from "./queries";

/** The link to a completed file; the API makes a new one for each answer. */
export function DownloadLink({ of, variant }: { of: Export; variant: "primary" | "secondary" }) {
  if (!of.link) return null;
  return (
    <a
      href={of.link}
      className={BUTTON_VARIANTS[variant]}
      aria-label={`Download ${rowsLabel(of.rows)} of ${new Date(of.created_at).toLocaleString()}`}
      title={sizeLabel(of.size_bytes)}
    >
      <Download className="size-4" aria-hidden="true" />
      Download
    </a>
  );
}
