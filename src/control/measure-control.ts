/** What a running node has measured of itself since its start, for those who watch it. node.ts implements it. */

/** The ways of a claim through the node, in order. */
export const STAGES = ['queue', 'receive', 'verify', 'commit', 'sync', 'ack'] as const;
/**
 * Where a claim's time goes: `queue` in the socket until a thread reads it, `receive` until it is in the ring, `verify`
 * until it is judged, `commit` until its group is written, `sync` until that is durable, `ack` until its ack is handed to
 * the socket.
 */
export type Stage = (typeof STAGES)[number];

/** How often which values were seen since the node's start. */
export interface Distribution {
  /** Values seen. */
  readonly count: number;
  /** Their sum, in the unit of the values. */
  readonly sum: number;
  /** Upper bounds of the buckets that are not empty, ascending, in the unit of the values. */
  readonly bounds: Float64Array;
  /** How many values lie in each of these buckets. */
  readonly counts: Float64Array;
}

/** What one thread that receives and commits has measured. In the layout `pipeline` there is one. */
export interface LaneMeasures {
  /** Claims in its ring now. */
  readonly ringDepth: number;
  readonly ringSlots: number;
  /** Seconds from a claim's arrival in the socket to the handing over of its ack; claims that were committed alone. */
  readonly ack: Distribution;
  /** Seconds that claims spent in each stage. */
  readonly stages: Readonly<Record<Stage, Distribution>>;
  /** Seconds that each sync of the journal took. */
  readonly sync: Distribution;
  /** Claims that each group commit covered. */
  readonly group: Distribution;
}

/** A running node's measurements. */
export interface MeasureControl {
  /** By lane. Cheap enough for several times a second: the threads are not asked. */
  measures(): LaneMeasures[];
}
