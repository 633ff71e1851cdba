/**
 * The entry of the generator thread: it builds its parts from what the main thread sent, runs the steps and reports each.
 * An exception ends the thread, and with it the run (run.ts).
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { HostPort } from '../host-port.ts';
import { limitTimerSlack } from '../native/pinning.ts';
import { nativeUdpFault } from '../transport/udp-native.ts';
import { Capture } from './capture.ts';
import { LoadChannels, type SharedChannels } from './channels.ts';
import { ClusterLink } from './cluster/link-cluster.ts';
import { Steering } from './cluster/steering.ts';
import { openCorpus } from './corpus.ts';
import { Generator, type SendTotals } from './generator.ts';
import type { LinkOptions, LoadLink } from './links/link.ts';
import { CarrierLink } from './links/link-carrier.ts';
import { DgramLink } from './links/link-dgram.ts';
import { NativeLink } from './links/link-native.ts';
import { TcpLink } from './links/link-tcp.ts';
import { Random } from './random.ts';
import type { LoadInterval, LoadStep } from './result.ts';
import type { LoadMap, LoadSettings, ReplayClaims } from './settings.ts';
import { KernelSigner } from './signer.ts';
import { ChannelPicker } from './skew.ts';
import { type ClaimSource, SignedSource, StoredSource } from './source.ts';

export interface GeneratorTask {
  settings: LoadSettings;
  channels: SharedChannels;
  replay: ReplayClaims | undefined;
  control: Int32Array;
  /** Over a cluster: its map at the beginning. */
  map: LoadMap | undefined;
}

/** What the thread is told: to begin the next step, or over a cluster that there is a newer map. */
export type GeneratorOrder = 'next' | LoadMap;

/** What is known when the run is over. */
export interface GeneratorEnd {
  event: 'over';
  sender: string;
  signer: string;
  /** How often the sockets failed, and the system's word for the last failure. */
  failures: number;
  lastFailure: string | undefined;
  /** Why the capture could not be written. */
  captureFault: string | undefined;
}

/**
 * What the thread says: for each rate its intervals and then a step, and the end. After a step it waits for a message, so
 * that the main thread can ask the node for its counters before the next step begins.
 */
export type GeneratorMessage =
  | { event: 'interval'; interval: LoadInterval; waiting: number }
  | { event: 'step'; step: LoadStep; totals: SendTotals }
  | GeneratorEnd;

// It sleeps until the next claim is due: by default the system ends that 50 microseconds late.
limitTimerSlack(1);
await run(workerData as GeneratorTask, (message) => parentPort?.postMessage(message));

async function run(
  { settings, channels: shared, replay, control, map }: GeneratorTask,
  say: (message: GeneratorMessage) => void,
): Promise<void> {
  const channels = new LoadChannels(shared);
  const source = sourceFor(settings, channels, replay);
  const capture = settings.capture && new Capture(channels.arena.bytes, settings.capture.claims, settings.target);
  const onInterval = (interval: LoadInterval, waiting: number) => say({ event: 'interval', interval, waiting });
  const generator = new Generator({ settings, channels, source, replay, capture, control, onInterval });
  const link = await openLink(settings, channels, generator, map);
  generator.attach(link);
  const steering =
    link instanceof ClusterLink && source instanceof SignedSource
      ? await Steering.begin({ generator, link, source, channels, settings }, map!)
      : undefined;
  const take = (order: GeneratorOrder) => {
    if (order !== 'next') steering?.take(order);
  };
  if (steering !== undefined) parentPort!.on('message', take);
  for (const rate of settings.rates) {
    if (generator.isStopped) break;
    const step = await generator.step(rate);
    const goesOn = untilNext();
    say({ event: 'step', step, totals: generator.totals });
    await goesOn;
  }
  parentPort!.off('message', take);
  await steering?.end();
  const { name: sender, failures, lastFailure } = link;
  await link.close();
  const captureFault = capture && writeCapture(capture, settings);
  say({ event: 'over', sender, signer: source.name, failures, lastFailure, captureFault });
}

function untilNext(): Promise<void> {
  return new Promise((resolve) => {
    const hear = (order: GeneratorOrder) => {
      if (order !== 'next') return;
      parentPort!.off('message', hear);
      resolve();
    };
    parentPort!.on('message', hear);
  });
}

/** Returns why the capture could not be written; the run's figures must survive that. */
function writeCapture(capture: Capture, settings: LoadSettings): string | undefined {
  const { file } = settings.capture!;
  try {
    capture.write(file);
    return undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return `${file}: expected a file that can be written, got ${code ?? message}`;
  }
}

function sourceFor(settings: LoadSettings, channels: LoadChannels, replay: ReplayClaims | undefined): ClaimSource {
  const { seed, keys, zipf, sockets, perDatagram } = settings;
  if (replay !== undefined) return new StoredSource(channels, replay.claims, replay, settings);
  const signed = () => {
    const picker = new ChannelPicker(channels.count, sockets, zipf, new Random(seed, 'channels'));
    const signer = new KernelSigner(seed, keys, channels);
    return new SignedSource(channels, picker, signer, new Random(seed, 'stale'), perDatagram);
  };
  if (settings.corpus === undefined) return signed();
  return new StoredSource(channels, openCorpus(settings, channels, signed), undefined, settings);
}

async function openLink(
  settings: LoadSettings,
  channels: LoadChannels,
  { sink, departures }: Generator,
  map: LoadMap | undefined,
): Promise<LoadLink> {
  const { target, sender, sockets, perDatagram } = settings;
  const { protocol } = target;
  const open = (to: HostPort): Promise<LoadLink> => {
    const options: LinkOptions = { host: to.host, port: to.port, sockets, perDatagram, departures, sink };
    if (protocol === 'tcp' || protocol === 'tls') return TcpLink.open(protocol, channels.arena.view, options);
    if (protocol !== 'udp') return CarrierLink.open(channels.arena.view, protocol, options);
    const isNative = sender === 'native' || (sender === 'auto' && nativeUdpFault() === undefined);
    return isNative ? NativeLink.open(channels, options) : DgramLink.open(channels.arena.view, options);
  };
  return map === undefined ? await open(target) : await ClusterLink.open(open, sockets, map.nodes);
}
