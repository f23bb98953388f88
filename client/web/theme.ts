import { el, icon, setAttribute } from './dom.js';
import { text } from './strings.js';

type Theme = 'dark' | 'light';

const key = 'latentchat.theme';
const systemDark = matchMedia('(prefers-color-scheme: dark)');

/** Dark or light: the system's choice until the viewer makes another, which this browser remembers. */
export function themeButton(changed: () => void): HTMLButtonElement {
  const button = el('button', { class: 'icon-button theme', attrs: { type: 'button' } });
  const show = (theme: Theme): void => {
    const label = theme === 'dark' ? text.theme.toLight : text.theme.toDark;
    button.replaceChildren(icon(theme === 'dark' ? 'sun' : 'moon'));
    setAttribute(button, 'aria-label', label);
    setAttribute(button, 'title', label);
  };
  const apply = (): void => {
    const chosen = remembered();
    setAttribute(document.documentElement, 'data-theme', chosen);
    show(chosen ?? (systemDark.matches ? 'dark' : 'light'));
    changed();
  };
  button.addEventListener('click', () => {
    const now = remembered() ?? (systemDark.matches ? 'dark' : 'light');
    remember(now === 'dark' ? 'light' : 'dark');
    apply();
  });
  systemDark.addEventListener('change', apply);
  apply();
  return button;
}

/** Where there is no storage the choice lasts as long as the page. */
let last: Theme | null = null;

function remembered(): Theme | null {
  try {
    const value = localStorage.getItem(key);
    return value === 'dark' || value === 'light' ? value : last;
  } catch {
    return last;
  }
}

function remember(theme: Theme): void {
  last = theme;
  try {
    localStorage.setItem(key, theme);
  } catch {
    // A private window, or no room: see above.
  }
}
