/** The report of `claimwire bench`, as --json writes it and the page draws it. */
import type { Bottleneck } from '../../src/metrics/bottleneck.ts';
import type { ModelError } from './fits.ts';
import type { Summary } from './statistics.ts';

/** Rises when a reader of the last version would misread a report. */
export const SCHEMA_VERSION = 1;

/** One figure that was measured several times. */
export interface FigureReport extends Summary {
  /** The part of the program that it belongs to. */
  part: string;
  name: string;
  unit: string;
  better: 'higher' | 'lower' | 'neither';
  /** For a ratio: the figure of the same rounds that it is a ratio to. */
  floor?: string;
}

/** What one optimisation buys and costs. */
export interface OptimisationReport {
  name: string;
  /** What it does, and what is run in its place. */
  on: string;
  off: string;
  /** Undefined where it cannot be switched alone; `why` says why not. */
  measured?: {
    unit: string;
    /** With it and without it, from the same rounds. */
    with: Summary;
    without: Summary;
    /** How many times as fast with it as without it. */
    gain: Summary;
  };
  why?: string;
  memory: string;
  latency: string;
  /** Lines that it alone needs, without blank lines and comments, and the files counted. */
  lines: number;
  files: string[];
}

export interface CurvePoint {
  x: number;
  y: number;
  low?: number;
  high?: number;
}

/** How one figure grows with another, and the model fitted to it. */
export interface CurveReport {
  name: string;
  title: string;
  xName: string;
  yName: string;
  /** Whether the x axis is logarithmic. */
  isLog: boolean;
  points: CurvePoint[];
  /** What has to be known to read it. */
  note: string;
  model?: ModelReport;
}

export interface ModelReport {
  /** Its formula, with the names of its parameters. */
  formula: string;
  parameters: Record<string, number>;
  fitError: ModelError;
  heldOutError?: ModelError;
  /** Points of the fitted curve, over the measured range alone. */
  line: { x: number; y: number }[];
}

/** What the models say of a machine and a rate that were not measured. */
export interface Extrapolation {
  /** By number of cores: claims a second. */
  byCores: { cores: number; claimsPerSecond: number; isExtrapolation: boolean }[];
  /** By rate: what it takes. `cores` is null where no number up to 128 reaches it. */
  byRate: {
    claimsPerSecond: number;
    cores: number | null;
    /** Null where this run has no model of it. */
    inMbitPerSecond: number | null;
    outMbitPerSecond: number | null;
    diskMBPerSecond: number | null;
    memoryGiB: number | null;
  }[];
  assumptions: string[];
}

export interface LimitReport {
  what: string;
  bound: string;
  setting: string;
  reached: string;
}

export interface BenchReport {
  schema: typeof SCHEMA_VERSION;
  kind: 'claimwire bench';
  startedAt: string;
  seconds: number;
  quick: boolean;
  seed: number;
  machine: {
    processor: string;
    cores: number;
    memoryGiB: number;
    system: string;
    node: string;
    kernel: string;
    filesystem: string;
    /** The machine's load (1 minute) when the run began: what else was at work. */
    loadBefore: number;
  };
  figures: FigureReport[];
  optimisations: OptimisationReport[];
  curves: CurveReport[];
  extrapolation: Extrapolation | null;
  readiness: { limits: LimitReport[]; failures: { what: string; does: string }[]; alarms: string };
  /** Of the node at full load. */
  bottleneck: Bottleneck | null;
  /** What was left out, and why. */
  skipped: string[];
  notes: string[];
}
