/** Checks of the clock: channels expire by it, and every claim reads it. */
import { type Check, error, ok, warning } from './check.ts';

/** Before this version was written no clock is right. */
const NOW_MIN = Date.UTC(2025, 0, 1);
/** Within the short while of the trial. */
const DRIFT_MS_MAX = 50;

export const clock: Check = async (machine) => {
  const drift = await machine.clockDrift();
  const now = new Date(machine.now());
  // systemd's own word for it; without systemd nobody can be asked without rights.
  const answer = machine.output('timedatectl', 'show', '-p', 'NTPSynchronized', '--value')?.trim();
  const isSynchronised = answer === 'yes' ? true : answer === 'no' ? false : null;
  const facts = { now: now.toISOString(), driftMs: Math.round(drift * 10) / 10, synchronised: isSynchronised };
  if (now.getTime() < NOW_MIN)
    return error(
      `The clock says ${now.toISOString()}: channels would not expire.`,
      'sudo timedatectl set-ntp true',
      facts,
    );
  if (Math.abs(drift) > DRIFT_MS_MAX)
    return warning(
      `The clock moved ${drift.toFixed(0)} ms against the monotonic one within moments: something is setting it.`,
      'timedatectl timesync-status || chronyc tracking',
      facts,
    );
  if (isSynchronised === false)
    return warning(
      'The clock is not synchronised: channels expire too early or too late, and the ledger closes them by its own time.',
      'sudo timedatectl set-ntp true',
      facts,
    );
  return ok(
    `The clock goes evenly${isSynchronised === null ? '; whether it is synchronised cannot be told here' : ' and is synchronised'}.`,
    facts,
  );
};

const SOURCES = '/sys/devices/system/clocksource/clocksource0';
/** Each of these is read by a system call or a slow device, many times a datagram. */
const SLOW_SOURCES = ['hpet', 'acpi_pm', 'jiffies', 'refined-jiffies', 'xen'];

export const clockSource: Check = (machine) => {
  const source = machine.text(`${SOURCES}/current_clocksource`)?.trim();
  const others = (machine.text(`${SOURCES}/available_clocksource`) ?? '').trim().split(/\s+/);
  const facts = { source: source ?? null };
  if (source === undefined) return ok('The clock source cannot be told here.', facts);
  if (!SLOW_SOURCES.includes(source)) return ok(`The clock source is ${source}.`, facts);
  const better = others.find((name) => !SLOW_SOURCES.includes(name));
  return warning(
    `The clock source is ${source}, which costs a system call each time the clock is read.`,
    better === undefined
      ? 'sudo dmesg | grep -i clocksource'
      : `echo ${better} | sudo tee ${SOURCES}/current_clocksource`,
    facts,
  );
};
