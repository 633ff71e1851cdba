import { install } from './globals.ts';
import { nativePathFault } from '../../src/path/native-path.ts';
import { simulate } from './simulate.ts';
process.env.CLAIMWIRE_WARM_UP = 'off';
install();
const hasNative = nativePathFault() === undefined;
const [from, to, lines] = process.argv.slice(2).map(Number);
const begun = process.cpuUsage();
const all = new Map<string, number>();
let claims=0, received=0, crashes=0, failed=0, events=0, lives=0, charges=0, changes=0, committed=0;
for (let seed = from!; seed <= to!; seed++) {
  const r = await simulate(seed, { hasNative, traceLines: lines ?? 0 });
  for (const [k, n] of r.faults) all.set(k, (all.get(k) ?? 0) + n);
  claims += r.totals.asked; received += r.totals.received; crashes += r.totals.crashes; events += r.events; lives+=r.totals.lives; charges+=r.totals.charges; changes+=r.totals.changes; committed+=r.totals.committed;
  if (lines && !r.failure) console.log((r as any).lines?.join("\n"));
  if (r.failure) { failed++; console.log(seed, r.failure.what); for (const l of r.failure.trace) console.log(l); if (lines) console.log(r.plan); }
}
const { user, system } = process.cpuUsage(begun);
console.log(Object.fromEntries(all), { claims, received, committed, crashes, lives, events, charges, changes, failed, cpuMs: (user + system) / 1000 });
process.exit();
