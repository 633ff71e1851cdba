/**
 * Which backend gets to run: none that answers wrongly, the next one instead, and what an operator hears of it. The
 * environment's switches are read once a process, so they are tried on nodes in processes of their own (`make build`).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, it, type TestContext, vi } from 'vitest';
import { CLAIM_BYTES } from '../../../protocol/layout.ts';
import { ChannelTable } from '../../../src/channel/table.ts';
import { ClaimwireError } from '../../../src/errors.ts';
import type { Arena } from '../../../src/ring/arena.ts';
import { ClaimRing } from '../../../src/ring/claim-ring.ts';
import { SLOT_VERDICT, VERDICT_INVALID, VERDICT_PENDING, VERDICT_VALID } from '../../../src/ring/slot.ts';
import type { VerifyBackend } from '../../../src/verify/backend.ts';
import { TABLE_KINDS, type TableKind } from '../../../src/verify/kernel.ts';
import { ReferenceBackend } from '../../../src/verify/reference-backend.ts';
import { resolveBackend } from '../../../src/verify/select.ts';
import { selfTestArena, selfTestFault } from '../../../src/verify/self-test.ts';
import { WasmKernel } from '../../../src/verify/wasm.ts';
import { KERNELS } from '../../support/kernel-process.ts';
import { removeFolder, temporaryFolder } from '../../support/node-process.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const ADDON = join(ROOT, 'build/claimwire.node');
const CACHE_BYTES = 32 * 2 ** 20;

/** What the native kernel of this file does: it has one verdict for everything, or cannot be made. */
const native = vi.hoisted(() => ({ verdict: 0, missing: '' }));
vi.mock('../../../src/verify/native.ts', () => ({
  NativeKernel: class {
    readonly kernelName = 'mock';
    #judge: (sequence: number) => void = () => {};
    constructor() {
      if (native.missing !== '') throw new Error(native.missing);
    }
    attach(arena: Arena, ring: ClaimRing): void {
      this.#judge = (sequence) => {
        Atomics.store(arena.ints, (ring.slot(sequence) + SLOT_VERDICT) >>> 2, native.verdict);
      };
    }
    verifySlots(first: number, count: number): void {
      for (let index = 0; index < count; index++) this.#judge(first + index);
    }
    verifySlot(sequence: number): void {
      this.#judge(sequence);
    }
    forceTables(): void {}
  },
}));
afterEach(() => vi.restoreAllMocks());

/** The reference's verdicts of the known claims, each computed once. */
const TRUTHS = new Map<string, number>();
function truthOf(reference: ReferenceBackend, arena: Arena, ring: ClaimRing, sequence: number): number {
  const slot = ring.slot(sequence);
  const claim = Buffer.from(arena.bytes.subarray(slot, slot + CLAIM_BYTES)).toString('latin1');
  let truth = TRUTHS.get(claim);
  if (truth === undefined) {
    reference.verifySlots(sequence, 1);
    truth = arena.ints[(slot + SLOT_VERDICT) >>> 2]!;
    TRUTHS.set(claim, truth);
  }
  return truth;
}

describe('selfTestFault', () => {
  /** Of a backend that judges by `verdict`, which is told the truth and how many it is asked at once. */
  function faultOf(
    verdict: (truth: number, count: number, index: number) => number,
    forceTables?: (kind: TableKind | undefined) => void,
  ): string | undefined {
    const arena = selfTestArena(0);
    const ring = new ClaimRing(arena, 0);
    const table = new ChannelTable(arena);
    const reference = new ReferenceBackend(arena, ring, table);
    const verifySlots = (first: number, count: number) => {
      for (let index = 0; index < count; index++) {
        const truth = truthOf(reference, arena, ring, first + index);
        arena.ints[(ring.slot(first + index) + SLOT_VERDICT) >>> 2] = verdict(truth, count, index);
      }
    };
    const backend: VerifyBackend = { name: 'noble', batchMax: 64, verifySlots, ...(forceTables && { forceTables }) };
    return selfTestFault(arena, ring, table, () => backend);
  }

  it('trusts who tells the truth', () => {
    expect(faultOf((truth) => truth)).toBeUndefined();
  });

  it.each([
    ['says yes to everything', () => VERDICT_VALID, 'expected verdict 2 for known claim 2, got 1'],
    ['says no to everything', () => VERDICT_INVALID, 'expected verdict 1 for known claim 0, got 2'],
    ['says nothing', () => VERDICT_PENDING, 'expected verdict 1 for known claim 0, got 0'],
    ['says the opposite', (truth: number) => 3 - truth, 'expected verdict 1 for known claim 0, got 2'],
  ])('refuses who %s', (_name, verdict, fault) => {
    expect(faultOf(verdict)).toBe(fault);
  });

  it('refuses who is wrong once in a batch, or on a claim alone', () => {
    for (let wrong = 0; wrong < 16; wrong++)
      expect(
        faultOf((truth, count, index) => (count > 1 && index === wrong ? 3 - truth : truth)),
        `${wrong}`,
      ).toContain(`known claim ${wrong}`);
    expect(faultOf((_truth, count) => (count === 1 ? VERDICT_VALID : _truth))).toBe(
      'expected verdict 2 for known claim 2, got 1',
    );
  });

  it.each(Object.keys(TABLE_KINDS))('refuses who is wrong with tables of one kind only: %s', (wrong) => {
    let present: TableKind | undefined;
    const fault = faultOf(
      (truth) => (present === wrong ? VERDICT_VALID : truth),
      (kind) => {
        present = kind;
      },
    );
    expect(fault).toBe(`expected verdict 2 for known claim 2, got 1; tables of keys: ${wrong}`);
  });
});

describe('resolveBackend', () => {
  function resolved(): { name: string; passedOver: string[] } {
    const passedOver: string[] = [];
    const name = resolveBackend('auto', CACHE_BYTES, (passed, reason) => passedOver.push(`${passed}: ${reason}`));
    return { name, passedOver };
  }

  it.each([
    [VERDICT_VALID, 'native: expected verdict 2 for known claim 2, got 1; tables of keys: none'],
    [VERDICT_INVALID, 'native: expected verdict 1 for known claim 0, got 2; tables of keys: none'],
  ])('auto passes over a native kernel that has the verdict %i for everything', (verdict, reason) => {
    native.verdict = verdict;
    expect(resolved()).toEqual({ name: 'wasm', passedOver: [reason] });
  });

  it('auto passes over one that cannot be made, and comes to noble in the end', () => {
    native.missing = 'expected an addon, got none';
    vi.spyOn(WasmKernel.prototype, 'verifySlots').mockImplementation(() => {});
    const reasons = [
      'native: expected an addon, got none',
      'wasm: expected verdict 1 for known claim 0, got 0; tables of keys: none',
    ];
    expect(resolved()).toEqual({ name: 'noble', passedOver: reasons });
    native.missing = '';
  });

  it('one that is asked for by name is refused, with the reason, and no other taken', () => {
    native.verdict = VERDICT_VALID;
    const passedOver = vi.fn();
    expect(() => resolveBackend('native', CACHE_BYTES, passedOver)).toThrow(
      new ClaimwireError(
        'BACKEND_UNAVAILABLE',
        'backend: native: expected verdict 2 for known claim 2, got 1; tables of keys: none',
      ),
    );
    expect(passedOver).not.toHaveBeenCalled();
    expect(resolveBackend('wasm', CACHE_BYTES)).toBe('wasm');
    expect(resolveBackend('noble', CACHE_BYTES)).toBe('noble');
  });
});

interface Outcome {
  /** The ready line, where there is one. */
  ready: { backend: string; kernel: string | null; layout: string } | undefined;
  code: number | null;
  stderr: string;
}

/** Starts `claimwire node` from a package folder and stops it as soon as it is ready. */
async function runNode(root: string, environment: Record<string, string>, flags: string[] = []): Promise<Outcome> {
  const data = temporaryFolder('self-test');
  const args = ['node', '--data', data, '--udp', '127.0.0.1:0', '--http', '127.0.0.1:0', '--verifiers', '1'];
  const sizes = ['--key-cache', '32M', '--channels-max', '1024'];
  const child: ChildProcess = spawn(process.execPath, [join(root, 'dist/tools/cli.js'), ...args, ...sizes, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, CLAIMWIRE_BACKEND: 'auto', CLAIMWIRE_KERNEL: '', ...environment },
    timeout: 20_000,
  });
  const outcome: Outcome = { ready: undefined, code: null, stderr: '' };
  child.stderr!.on('data', (chunk) => {
    outcome.stderr += String(chunk);
  });
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const { event, backend, kernel, layout } = JSON.parse(line);
    if (event === 'ready') outcome.ready = { backend, kernel, layout };
    // It takes signals from the line on, not before it is written.
    setTimeout(() => child.kill('SIGTERM'), 100);
  });
  try {
    outcome.code = await new Promise((done) => child.once('close', done));
    return outcome;
  } finally {
    removeFolder(data);
  }
}

function expectAddon(context: TestContext): void {
  if (existsSync(ADDON)) return;
  const message = 'NATIVE KERNEL NOT TESTED HERE: expected build/claimwire.node, got none';
  console.warn(message);
  context.skip(message);
}

describe('the environment', () => {
  it.each([
    ['noble', null],
    ['wasm', 'wasm'],
  ])('CLAIMWIRE_BACKEND=%s runs it', async (backend, kernel) => {
    const { ready, code } = await runNode(ROOT, { CLAIMWIRE_BACKEND: backend });
    expect({ ready, code }).toEqual({ ready: { backend, kernel, layout: 'pipeline' }, code: 0 });
  });

  it('CLAIMWIRE_BACKEND with an unknown name is an error', async () => {
    const { ready, code, stderr } = await runNode(ROOT, { CLAIMWIRE_BACKEND: 'fast' });
    expect({ ready, code }).toEqual({ ready: undefined, code: 2 });
    expect(stderr).toContain('CLAIMWIRE_BACKEND: expected auto, native, wasm or noble, got "fast"');
  });

  it.for(KERNELS.filter((name) => name !== 'wasm'))(
    'CLAIMWIRE_KERNEL=%s runs it, or says what this CPU lacks',
    async (kernel, context) => {
      expectAddon(context);
      const { ready, code, stderr } = await runNode(ROOT, { CLAIMWIRE_KERNEL: kernel, CLAIMWIRE_BACKEND: 'native' });
      if (ready !== undefined || kernel === 'scalar') {
        expect({ ready, code }).toMatchObject({ ready: { backend: 'native', kernel }, code: 0 });
        return;
      }
      console.warn(`this CPU has no ${kernel}: checked that the node says so`);
      expect(code).toBe(1);
      expect(stderr).toContain(`CLAIMWIRE_KERNEL: expected a kernel this CPU can run, got ${kernel}`);
    },
  );

  it('CLAIMWIRE_KERNEL with an unknown name is an error for native, and a warning for auto', async (context) => {
    expectAddon(context);
    const fault = `CLAIMWIRE_KERNEL: expected ${process.arch === 'arm64' ? 'neon' : 'avx512ifma, avx512f, avx2'} or scalar, got`;
    // The option comes before the environment, by which the node would run.
    const environment = { CLAIMWIRE_KERNEL: 'sse9', CLAIMWIRE_BACKEND: 'wasm' };
    const asked = await runNode(ROOT, environment, ['--backend', 'native']);
    expect({ ready: asked.ready, code: asked.code }).toEqual({ ready: undefined, code: 1 });
    expect(asked.stderr).toContain(`backend: native: ${fault}`);
    const auto = await runNode(ROOT, { CLAIMWIRE_KERNEL: 'sse9' });
    expect({ ready: auto.ready, code: auto.code }).toMatchObject({
      ready: { backend: 'wasm', kernel: 'wasm' },
      code: 0,
    });
    expect(auto.stderr).toMatch(new RegExp(`warn +backend native passed over: ${fault}`));
  });
});

/** Without the addon alone: test/unit/config.test.ts. */
describe('a package without its kernels', () => {
  let root: string;
  beforeAll(() => {
    root = temporaryFolder('no-addon');
    for (const path of ['dist', 'package.json']) cpSync(join(ROOT, path), join(root, path), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  });
  afterAll(() => removeFolder(root));

  it('runs noble, after two warnings', async () => {
    const { ready, code, stderr } = await runNode(root, {});
    expect({ ready, code }).toMatchObject({ ready: { backend: 'noble', kernel: null }, code: 0 });
    expect(stderr).toMatch(/warn +backend native passed over: expected build\/claimwire\.node, got none/);
    expect(stderr).toMatch(/warn +backend wasm passed over: expected src\/kernel\/claimwire\.wasm, got none/);
  });
});
