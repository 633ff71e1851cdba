/** The counter of each ack status other than COMMITTED, and of each way in which the walk of a payload can fail. */
import { WALK_CUT_FRAME, WALK_EMPTY, WALK_UNKNOWN_TYPE } from '../../protocol/frames.ts';
import { STATUS } from '../../protocol/layout.ts';
import { type CounterName, counterIndex } from '../ring/counters.ts';

export const STATUS_COUNTER: Int32Array = table({
  [STATUS.ALREADY]: 'already',
  [STATUS.UNKNOWN_CHANNEL]: 'refused.unknownChannel',
  [STATUS.BAD_SIGNATURE]: 'refused.badSignature',
  [STATUS.OVER_CAPACITY]: 'refused.overCapacity',
  [STATUS.CHANNEL_CLOSED]: 'refused.channelClosed',
  [STATUS.BAD_AMOUNT]: 'refused.badAmount',
  [STATUS.OVERLOADED]: 'refused.overloaded',
  [STATUS.BAD_SEQUENCE]: 'refused.badSequence',
  [STATUS.MOVED]: 'refused.moved',
  [STATUS.ROOT_EXPOSURE]: 'refused.rootExposure',
});

export const WALK_COUNTER: Int32Array = table({
  [WALK_EMPTY]: 'dropped.emptyDatagram',
  [WALK_UNKNOWN_TYPE]: 'dropped.unknownType',
  [WALK_CUT_FRAME]: 'dropped.cutFrame',
});

function table(names: Record<number, CounterName>): Int32Array {
  const result = new Int32Array(32).fill(-1);
  for (const [code, name] of Object.entries(names)) result[Number(code)] = counterIndex(name);
  return result;
}
