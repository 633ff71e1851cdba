/** Light, dark, or as the system has it; kept by the browser. */
import { byId } from './dom.ts';

const NAME = 'claimwire-colours';
const CHOICES = ['system', 'light', 'dark'];

/** @param onChange called when the colours have changed: charts are drawn again */
export function startTheme(onChange: () => void): void {
  const select = byId<HTMLSelectElement>('theme');
  const apply = (choice: string) => {
    if (choice === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
  };
  const kept = localStorage.getItem(NAME) ?? '';
  select.value = CHOICES.includes(kept) ? kept : 'system';
  apply(select.value);
  select.addEventListener('change', () => {
    localStorage.setItem(NAME, select.value);
    apply(select.value);
    onChange();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', onChange);
}
