/** All mutations, in parts. A mutation that no test noticed found a hole in the tests, which was mended then. */

import type { Mutation } from './mutation.ts';
import { CHANNELS } from './mutations/channels.ts';
import { CLAIM_PATH } from './mutations/claim-path.ts';
import { GATEWAY } from './mutations/gateway.ts';
import { JOURNAL } from './mutations/journal.ts';
import { LEAVES } from './mutations/leaves.ts';
import { CHARGES, REDEMPTION } from './mutations/money.ts';
import { NATIVE } from './mutations/native.ts';
import { SIGNER } from './mutations/signer.ts';
import { STORE } from './mutations/store.ts';

export interface Part {
  title: string;
  mutations: readonly Mutation[];
}

export const PARTS: readonly Part[] = [
  { title: 'The claim path', mutations: CLAIM_PATH },
  { title: 'The claim path and the kernel in C', mutations: NATIVE },
  { title: 'Leaves of signed roots', mutations: LEAVES },
  { title: 'The batch signer', mutations: SIGNER },
  { title: 'The journal', mutations: JOURNAL },
  { title: 'Channels and checkpoints', mutations: CHANNELS },
  { title: 'Charges', mutations: CHARGES },
  { title: 'Redemption', mutations: REDEMPTION },
  { title: 'The shared store', mutations: STORE },
  { title: 'The gateway and who may do what', mutations: GATEWAY },
];

export const MUTATIONS: readonly Mutation[] = PARTS.flatMap(({ mutations }) => mutations);
