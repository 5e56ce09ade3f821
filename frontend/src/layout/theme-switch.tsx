import { type LucideIcon, Monitor, Moon, Sun } from "lucide-react";
import { THEMES, type Theme, useTheme } from "./theme";

const ICONS: Record<Theme, LucideIcon> = { system: Monitor, light: Sun, dark: Moon };
const LABELS: Record<Theme, string> = { system: "System", light: "Light", dark: "Dark" };

export function ThemeSwitch() {
  const [current, chooseTheme] = useTheme();
  return (
    <fieldset className="flex rounded-lg bg-raised p-0.5 max-md:ml-auto">
      <legend className="sr-only">Theme</legend>
      {THEMES.map((theme) => {
        const Icon = ICONS[theme];
        return (
          <label
            key={theme}
            title={LABELS[theme]}
            className="flex flex-1 cursor-pointer justify-center rounded-md px-3 py-1.5 text-muted has-checked:bg-surface has-checked:text-foreground has-focus-visible:outline-2 has-focus-visible:outline-accent"
          >
            <input
              type="radio"
              name="theme"
              className="sr-only"
              checked={theme === current}
              onChange={() => chooseTheme(theme)}
            />
            <Icon className="size-4" aria-hidden="true" />
            <span className="sr-only">{LABELS[theme]}</span>
          </label>
        );
      })}
    </fieldset>
  );
}
