/**
 * What running programs see of a disk at the end of a recording.
 */
import { random } from '../support/random.ts';
import { Disk } from './disk.ts';
import { type ImageFolder, imageOf } from './models.ts';
import type { Recording } from './record.ts';
import { KIND } from './recording.ts';

export function lastState({ records }: Pick<Recording, 'records'>): ImageFolder {
  const disk = new Disk();
  for (const [at, record] of records.entries()) if (record.kind !== KIND.sent) disk.apply(record, at);
  return imageOf(disk, 'kept', random(0));
}
