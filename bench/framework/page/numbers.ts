/** How the page and the terminal write figures. Pure. */

/** Four significant digits below 10,000, whole numbers with separators above. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return 'none';
  if (Math.abs(value) >= 10_000) return Math.round(value).toLocaleString('en-US');
  const rounded = Number(value.toPrecision(4));
  return Math.abs(rounded) >= 1_000 ? rounded.toLocaleString('en-US') : String(rounded);
}

export function share(value: number): string {
  return `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %`;
}

export function times(value: number): string {
  return `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)} ×`;
}
