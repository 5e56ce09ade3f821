import { useState } from "react";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const STORAGE_KEY = "payflow-theme"; // public/theme.js reads it before the first paint
const darkQuery = matchMedia("(prefers-color-scheme: dark)");

function storedTheme(): Theme {
  const theme = localStorage.getItem(STORAGE_KEY);
  return theme === "light" || theme === "dark" ? theme : "system";
}

function applyTheme() {
  const theme = storedTheme();
  const systemTheme = darkQuery.matches ? "dark" : "light";
  document.documentElement.dataset.theme = theme === "system" ? systemTheme : theme;
}

/** Follow the theme of the operating system until the viewer chooses one. */
export function followSystemTheme() {
  darkQuery.addEventListener("change", applyTheme);
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(storedTheme);
  const chooseTheme = (next: Theme) => {
    if (next === "system") localStorage.removeItem(STORAGE_KEY);
    else localStorage.setItem(STORAGE_KEY, next);
    applyTheme();
    setTheme(next);
  };
  return [theme, chooseTheme];
}
