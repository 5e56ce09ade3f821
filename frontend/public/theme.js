// Runs before the first paint, so that a dark page is never light first. A file of its own: the
// Content-Security-Policy allows no inline script.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("payflow-theme");
  } catch {
    // No storage, no choice: the system's it is.
  }
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = chosen ?? (dark ? "dark" : "light");
})();
