// Sets the theme before the first paint, so that a dark page never flashes white. This is a separate
// file because the Content-Security-Policy allows no inline script.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("payflow-theme");
  } catch {
    // Without storage, use the system's theme.
  }
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = chosen ?? (dark ? "dark" : "light");
})();
