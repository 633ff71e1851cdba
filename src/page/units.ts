/** Figures as text: rates, times, amounts, bytes. Always as many digits as a glance can take in. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** A count, or a rate a second: 0, 0.4, 12,345, 1.23 M. */
export function countText(value: number): string {
  if (value === 0) return '0';
  if (Math.abs(value) < 10 && !Number.isInteger(value)) return value.toFixed(1);
  if (Math.abs(value) < 1e6) return whole.format(value);
  if (Math.abs(value) < 1e9) return `${(value / 1e6).toFixed(value < 1e7 ? 2 : 1)} M`;
  return `${(value / 1e9).toFixed(2)} G`;
}

/** Milliseconds, without the unit. */
export function msText(ms: number): string {
  if (ms === 0) return '0';
  if (ms < 0.1) return ms.toFixed(3);
  if (ms < 10) return ms.toFixed(2);
  if (ms < 100) return ms.toFixed(1);
  return whole.format(ms);
}

export function percentText(share: number): string {
  const percent = share * 100;
  return `${percent === 0 || percent >= 10 ? Math.round(percent) : percent.toFixed(1)} %`;
}

const GROUPS = /\B(?=(\d{3})+$)/g;

/** A decimal amount of drops, of any length, with commas. */
export function dropsText(drops: string): string {
  return drops.replace(GROUPS, ',');
}

/** The same in XRP, to six digits. */
export function xrpText(drops: string): string {
  const digits = drops.padStart(7, '0');
  const part = digits.slice(-6).replace(/0+$/, '');
  return `${dropsText(digits.slice(0, -6))}${part === '' ? '' : `.${part}`} XRP`;
}

/** An amount for a narrow place: its value and unit. */
export function shortDrops(drops: string): [string, string] {
  if (drops.length <= 9) return [dropsText(drops), 'drops'];
  return [countText(Number(drops) / 1e6), 'XRP'];
}

const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytesText(bytes: number): string {
  const power = Math.min(BYTES.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${BYTES[power]}`;
}

/** A time that has passed: 42 s, 3 min, 2 h 5 min, 4 d 1 h. */
export function durationText(seconds: number): string {
  const all = Math.max(0, Math.round(seconds));
  if (all < 120) return `${all} s`;
  const minutes = Math.floor(all / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `badSignature` as words: bad signature. */
export function wordsOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
