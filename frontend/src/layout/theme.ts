import { useState } from "react";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const PLACE = "payflow-theme"; // public/theme.js reads it before the first paint
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

function chosen(): Theme {
  const theme = localStorage.getItem(PLACE);
  return theme === "light" || theme === "dark" ? theme : "system";
}

function show() {
  const theme = chosen();
  const system = systemIsDark.matches ? "dark" : "light";
  document.documentElement.dataset.theme = theme === "system" ? system : theme;
}

/** Every page's colours, the sign-in's too, follow the system while nothing else was chosen. */
export function followSystemTheme() {
  systemIsDark.addEventListener("change", show);
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(chosen);
  const choose = (next: Theme) => {
    if (next === "system") localStorage.removeItem(PLACE);
    else localStorage.setItem(PLACE, next);
    show();
    setTheme(next);
  };
  return [theme, choose];
}
