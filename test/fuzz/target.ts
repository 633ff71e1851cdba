/** What is fuzzed: a function over any bytes that throws where something is wrong, and inputs to begin with. */
export interface Target {
  /** Of an input. */
  bytesMax: number;
  /** Sound inputs, from which others are made. */
  seeds(): Uint8Array[];
  /** Throws, or rejects, where these bytes do what none may. Nothing of one call may change the next. */
  run(bytes: Uint8Array): void | Promise<void>;
}
