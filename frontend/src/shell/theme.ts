import { useEffect, useState } from "react";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const PLACE = "payflow-theme"; // public/theme.js reads it before the first paint
const systemIsDark = () => matchMedia("(prefers-color-scheme: dark)");

function chosen(): Theme {
  const theme = localStorage.getItem(PLACE);
  return theme === "light" || theme === "dark" ? theme : "system";
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(chosen);
  useEffect(() => {
    const show = () => {
      const system = systemIsDark().matches ? "dark" : "light";
      document.documentElement.dataset.theme = theme === "system" ? system : theme;
    };
    show();
    const query = systemIsDark();
    query.addEventListener("change", show);
    return () => query.removeEventListener("change", show);
  }, [theme]);
  const choose = (next: Theme) => {
    if (next === "system") localStorage.removeItem(PLACE);
    else localStorage.setItem(PLACE, next);
    setTheme(next);
  };
  return [theme, choose];
}
