// `make bench-pages`: how long NocoBase's page takes to load, with NocoBase alone and through the gate, and how much is
// transferred. Real NocoBase, real Chromium, networks emulated by Chromium itself. Prints a table in Markdown.
//
// RUNS=5 (loads of each kind; medians are shown), NETWORKS=loopback,4g,slow, OUT=file for all figures as JSON. SETTLE=900: how
// many seconds to wait at most until the gate has compressed every file as well as it can; 0: the figures of the first visitors.
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { stage } from '../../tests/browser/stage.mjs';
import { THERE, median, round, settled, signedIn } from './shared.mjs';

const RUNS = Number(process.env.RUNS ?? 5);
const SETTLE = Number(process.env.SETTLE ?? 900);
/** Bits per second, and round-trip time in milliseconds. */
const NETWORKS = {
  loopback: null,
  '4g': { rate: 9_000_000, latency: 60 },
  slow: { rate: 1_600_000, latency: 150 },
};
const NAMES = (process.env.NETWORKS ?? 'loopback,4g,slow').split(',');
/** After this many milliseconds without a transfer the page is complete. */
const QUIET = 700;

/** One load in this context: seconds until the page is shown, KB and requests until it is complete. */
async function load(context, address, network) {
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  const seen = { requests: 0, bytes: 0, scripts: 0, api: 0, open: 0, last: Date.now(), urls: new Map() };
  cdp.on('Network.requestWillBeSent', ({ requestId, request }) => {
    if (!request.url.startsWith('http')) return;
    seen.urls.set(requestId, request.url);
    seen.requests += 1;
    seen.last = Date.now();
  });
  const done = ({ requestId, encodedDataLength = 0 }) => {
    const url = seen.urls.get(requestId);
    if (!url) return;
    seen.bytes += encodedDataLength;
    if (url.includes('/api/')) seen.api += encodedDataLength;
    if (/\.js(\?|$)/.test(url)) seen.scripts += encodedDataLength;
    seen.last = Date.now();
  };
  cdp.on('Network.loadingFinished', done);
  cdp.on('Network.loadingFailed', done);
  cdp.on('Network.dataReceived', () => (seen.last = Date.now()));
  await cdp.send('Network.enable');
  if (network) {
    await cdp.send('Network.emulateNetworkConditions', {
      offline: false, latency: network.latency,
      downloadThroughput: network.rate / 8, uploadThroughput: network.rate / 8,
    });
  }
  const began = performance.now();
  await page.goto(address, { waitUntil: 'commit', timeout: 240_000 });
  await page.getByText(THERE).first().waitFor({ timeout: 240_000 });
  const seconds = (performance.now() - began) / 1000;
  while (Date.now() - seen.last < QUIET) await sleep(100);
  await page.close();
  return { seconds, kb: seen.bytes / 1000, scripts: seen.scripts / 1000, api: seen.api / 1000, requests: seen.requests, urls: [...seen.urls.values()] };
}

/** Cold, then warm, then once more, in a browser profile of its own. */
async function loads(how, network) {
  const context = await stage.browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-US', serviceWorkers: 'block' });
  context.setDefaultTimeout(240_000);
  if (how.cookies) await context.addCookies(how.cookies);
  if (how.token) {
    await context.addInitScript((token) => localStorage.setItem('NOCOBASE_TOKEN', token), how.token);
  }
  const cold = await load(context, how.address, network);
  const warm = await load(context, how.address, network);
  const third = await load(context, how.address, network);
  await context.close();
  return { cold, warm, third };
}

await stage.start();
try {
  const client = await signedIn();
  const { cookies } = await client.context.storageState();
  const [user] = await stage.nocobase.users({ phone: '13800000002' });
  const gate = { name: 'through the gate', address: stage.origin + stage.page, cookies };
  const alone = { name: 'NocoBase alone', address: stage.nocobase.base + stage.page, token: stage.nocobase.mint(user.id) };

  // The very first load through a gate that has just started.
  await stage.gate.stop();
  stage.gate = await stage.startGate('a');
  const first = await loads(gate, null);
  const cookie = cookies.map((c) => `${c.name}=${c.value}`).join('; ');
  const compressing = await settled(first.cold.urls, cookie, SETTLE);
  await loads(alone, null); // NocoBase is warm too.

  const results = {};
  for (let run = 0; run < RUNS; run += 1) {
    for (const network of NAMES) {
      for (const how of [alone, gate]) {
        const each = await loads(how, NETWORKS[network]);
        for (const [kind, figures] of Object.entries(each)) {
          delete figures.urls;
          ((results[how.name] ??= {})[`${kind} ${network}`] ??= []).push(figures);
        }
        console.error(`run ${run + 1}, ${network}, ${how.name}: ${Object.entries(each).map(([kind, f]) => `${kind} ${round(f.seconds, 1)} s`).join(', ')}`);
      }
    }
  }
  const of = (how, kind, network, what) => median(results[how.name][`${kind} ${network}`].map((f) => f[what]));
  const lines = [
    `| \`/admin\`, signed in | KB (scripts; API), requests | ${NAMES.join(' | ')} |`,
    `|---|---|${NAMES.map(() => '---').join('|')}|`,
  ];
  for (const kind of ['cold', 'warm', 'third']) {
    for (const how of [alone, gate]) {
      const size = (what) => round(of(how, kind, NAMES[0], what));
      const times = NAMES.map((network) => `${round(of(how, kind, network, 'seconds'), 1)} s`);
      lines.push(`| ${how.name}, ${kind} | ${size('kb')} (${size('scripts')}; ${size('api')}), ${size('requests')} | ${times.join(' | ')} |`);
    }
    const ratios = NAMES.map((network) => round(of(gate, kind, network, 'seconds') / of(alone, kind, network, 'seconds'), 2));
    const bytes = round(of(gate, kind, NAMES[0], 'kb') / of(alone, kind, NAMES[0], 'kb'), 2);
    lines.push(`| gate / alone, ${kind} | ${bytes} | ${ratios.join(' | ')} |`);
  }
  console.log(lines.join('\n'));
  console.log(`\nFirst load through a gate that has just started: ${round(first.cold.kb)} KB, ${round(first.cold.seconds, 1)} s (loopback); ` +
    `${compressing}. Medians of ${RUNS}; ${cpus().length} cores, load ${loadavg().map((x) => round(x, 1)).join(' ')}.`);
  if (process.env.OUT) writeFileSync(process.env.OUT, JSON.stringify({ results, first: { ...first.cold, urls: undefined }, compressing, load: loadavg() }, null, 1));
} finally {
  await stage.stop();
}
