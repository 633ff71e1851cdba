/**
 * The page: a key of its own, a channel that the server opens for it, and payments that are signed here.
 *
 * The key is kept encrypted in this browser, but a script that runs in this page can use it (docs/browser.md). So a channel
 * holds no more than one would lose.
 */
import { keptKey, Payer } from 'claimwire/browser';
import { Chart } from './chart.js';

const PRICE = 10n; // drops a payment
/** Payments that wait for their acks. More would only wait in line. */
const WAITING_MAX = 256;
const TICK_MS = 20;

/** `?by=webrtc` and `?by=websocket` allow one way to the node; otherwise it is whichever gets through. */
const SCHEMES = { webrtc: 'webrtc+http', websocket: 'ws' };
const SCHEME = SCHEMES[new URLSearchParams(location.search).get('by')] ?? 'http';

const element = (id) => document.getElementById(id);
const chart = new Chart(element('chart'));
let acknowledged = 0;
let waiting = 0;
/** Payments to be made now, as soon as there is room. */
let due = 0;

function say(text, isFault = false) {
  element('status').textContent = text;
  element('status').classList.toggle('fault', isFault);
}

const key = await keptKey('example');
try {
  await begin();
} catch (error) {
  say(
    error.code === 'STATE_LOCKED' ? 'This page pays in another tab. Close that one and reload.' : error.message,
    true,
  );
}

async function begin() {
  const response = await fetch('/channel', { method: 'POST', body: key.publicKey });
  if (!response.ok) throw new Error(`The server opened no channel: ${await response.text()}`);
  const { ledgerChannelId, deposit, node } = await response.json();
  const payer = await Payer.open({ to: node.replace('http', SCHEME), state: 'example' });
  const channel = payer.channel({ ledgerChannelId, key });
  const left = () => BigInt(deposit) - channel.claimed;

  const pay = async () => {
    waiting += 1;
    try {
      await channel.pay(PRICE);
      acknowledged += 1;
    } catch (error) {
      due = 0;
      stop();
      say(error.message, true);
    } finally {
      waiting -= 1;
      payDue();
    }
  };
  const payDue = () => {
    while (due >= 1 && waiting < WAITING_MAX) {
      due -= 1;
      if (left() >= PRICE) void pay();
      else {
        due = 0;
        stop();
        say('The deposit is used up.');
      }
    }
  };

  const stop = control(
    (rate) => {
      due = Math.min(due + rate, WAITING_MAX);
      payDue();
    },
    (count) => {
      due += count;
      payDue();
    },
  );

  const show = () => {
    const { transport, rtt } = payer.stats();
    element('paid').textContent = channel.committed.toLocaleString('en');
    element('left').textContent = left().toLocaleString('en');
    element('acknowledged').textContent = acknowledged.toLocaleString('en');
    element('median').textContent = rtt.count === 0 ? '–' : rtt.p50Ms.toFixed(1);
    element('transport').textContent = transport === 'webrtc' ? 'WebRTC' : 'WebSocket';
  };
  let before = 0;
  setInterval(show, 100);
  setInterval(() => {
    chart.push(acknowledged - before);
    before = acknowledged;
  }, 1_000);
  element('price').textContent = PRICE;
  show();
  say(`Channel ${ledgerChannelId.slice(0, 8)}… is open.`);
}

/** Connects the controls. Returns what stops the stream. */
function control(stream, burst) {
  const button = element('stream');
  let timer;
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
    button.textContent = 'Start';
    button.setAttribute('aria-pressed', 'false');
  };
  button.addEventListener('click', () => {
    if (timer !== undefined) return stop();
    timer = setInterval(() => stream((element('rate').valueAsNumber * TICK_MS) / 1_000), TICK_MS);
    button.textContent = 'Stop';
    button.setAttribute('aria-pressed', 'true');
  });
  element('rate').addEventListener('input', () => {
    element('rate-value').textContent = element('rate').value;
  });
  element('controls').addEventListener('submit', (event) => {
    event.preventDefault();
    burst(element('count').valueAsNumber);
  });
  button.disabled = false;
  element('burst').disabled = false;
  return stop;
}
