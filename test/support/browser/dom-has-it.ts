/**
 * What the payer asks of a page (src/client/web-globals.ts) is what the DOM has. Compiled by tsconfig.browser.json, never
 * run: with the DOM's types and without Node's.
 */
import type { WebGlobals } from '../../../src/client/web-globals.ts';

export const globals: WebGlobals = window as Window & typeof globalThis;
