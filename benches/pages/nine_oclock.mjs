// `make bench-nine-oclock`: many members open NocoBase within a minute, each with an empty cache: directly, then through the gate,
// against one real NocoBase. Chromium loads the page once; what it requested is then requested again for each member, with a
// session of their own. Prints a table in Markdown.
//
// MEMBERS=200, WITHIN=60 (seconds from the first member's start to the last one's), OUT=file for all figures as JSON, SETTLE=300:
// see pages.mjs. Loads, gate and NocoBase share this machine's cores.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { CORP, UA, stage } from '../../tests/browser/stage.mjs';
import { THERE, median, quantile, round, settled, signedIn } from './shared.mjs';

const MEMBERS = Number(process.env.MEMBERS ?? 200);
const WITHIN = Number(process.env.WITHIN ?? 60);
const SETTLE = Number(process.env.SETTLE ?? 300);
/** Connections that a browser opens to one HTTP/1.1 server. */
const CONNECTIONS = 6;
/** Headers that belong to a member, to a connection or to a browser's cache. */
const OWN = /^(:.*|host|connection|content-length|cookie|authorization|if-none-match|if-modified-since|upgrade-insecure-requests)$/;
const STATIC = /\/(assets|static)\//;
/** Uploaded files, which NocoBase gives out by a cookie of its own: left out on both sides. */
const UPLOADED = /^\/(files|storage)\//;

/** One request, whose response is read to the end. */
function ask(agent, port, path, { method = 'GET', headers = {}, body, text = false } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path, method, agent, headers }, (response) => {
      const chunks = [];
      let bytes = 0;
      response.on('data', (chunk) => {
        bytes += chunk.length;
        if (text) chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () => resolve({
        status: response.statusCode, headers: response.headers, bytes, text: Buffer.concat(chunks).toString(),
      }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Signs a member in, as WeCom's client does: follows redirects between gate and simulator. Cookies and the page's token. */
async function signIn(userid) {
  const agent = new http.Agent({ keepAlive: true });
  const jars = {}; // by host and port
  const page = {
    'user-agent': UA.desktop, accept: 'text/html', 'accept-language': 'en',
    'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document',
  };
  const text = (jar) => [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  const step = async (address, options = {}) => {
    const url = new URL(address);
    const cookies = (jars[url.host] ??= new Map());
    const cookie = text(cookies);
    const headers = { host: url.host, ...page, ...options.headers, ...(cookie && { cookie }) };
    const response = await ask(agent, url.port, url.pathname + url.search, { ...options, headers, text: true });
    for (const line of response.headers['set-cookie'] ?? []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (value) cookies.set(name, value);
      else cookies.delete(name);
    }
    return response;
  };
  await step(`${stage.sim}/client/member`, {
    method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ member: `${CORP}/${userid}`, next: '/' }).toString(),
  });
  let address = stage.origin + stage.page;
  for (let steps = 0; steps < 12; steps += 1) {
    const response = await step(address);
    if (response.status >= 300 && response.status < 400) {
      address = new URL(response.headers.location, address).href;
      continue;
    }
    const token = /data-token="([^"]+)"/.exec(response.text)?.[1];
    if (response.status !== 200 || !token) break;
    agent.destroy();
    return { cookie: text(jars[new URL(stage.origin).host]), token };
  }
  throw new Error(`${userid} could not sign in: the last page was ${address}`);
}

/** What Chromium requests when it opens the page with an empty cache: path, method, headers, body and status of each. */
async function record(cookies) {
  const context = await stage.browser.newContext({ userAgent: UA.desktop, locale: 'en-US', serviceWorkers: 'block' });
  context.setDefaultTimeout(240_000);
  await context.addCookies(cookies);
  const page = await context.newPage();
  const requests = [];
  page.on('request', (request) => {
    if (request.url().startsWith(stage.origin)) requests.push(request);
  });
  await page.goto(stage.origin + stage.page, { waitUntil: 'commit' });
  await page.getByText(THERE).first().waitFor();
  await page.waitForLoadState('networkidle');
  const found = [];
  for (const request of requests) {
    const response = await request.response();
    const url = new URL(request.url());
    const headers = await request.allHeaders();
    found.push({
      path: url.pathname + url.search, method: request.method(), body: request.postData() ?? undefined, status: response?.status(),
      token: 'authorization' in headers,
      headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN.test(name))),
    });
  }
  await context.close();
  const names = new Set();
  return found.filter(({ path, status }) => {
    const again = STATIC.test(path) && names.has(path);
    names.add(path);
    return status && !again && !UPLOADED.test(path);
  });
}

/** One member's load: the page, then everything else in the recorded order, over six connections. */
async function load(how, member, requests) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const began = performance.now();
  let bytes = 0;
  const failed = [];
  const one = async ({ path, method, headers, body, token, status }) => {
    const own = { ...headers, host: how.host, ...how.identity(member, token) };
    for (const name of ['origin', 'referer']) own[name] &&= own[name].replace(stage.origin, `http://${how.host}`);
    const response = await ask(agent, how.port, path, { method, headers: own, body }).catch((e) => ({ status: e.code ?? e.message, bytes: 0 }));
    bytes += response.bytes;
    if (response.status !== status) failed.push(`${method} ${path}: ${response.status} instead of ${status}`);
  };
  const [first, ...others] = requests.filter(({ path }) => how.gate || !path.startsWith('/wecom-gate/'));
  await one(first);
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    for (let next = others.shift(); next; next = others.shift()) await one(next);
  }));
  agent.destroy();
  return { seconds: (performance.now() - began) / 1000, bytes, failed };
}

/** CPU time of a process and its descendants, in seconds. */
function cpuSeconds(pid) {
  let ticks = 0;
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    ticks = Number(fields[11]) + Number(fields[12]);
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const children = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean);
      for (const child of children) ticks += cpuSeconds(Number(child)) * 100;
    }
  } catch {
    // It has ended.
  }
  return ticks / 100;
}

/** All members, each started at its time. */
async function wave(how, members, requests) {
  const pids = { nocobase: stage.nocobase.program.child.pid, gate: stage.gate.child.pid };
  const before = { nocobase: cpuSeconds(pids.nocobase), gate: cpuSeconds(pids.gate) };
  const began = performance.now();
  let over = 0;
  const loads = await Promise.all(members.map(async (member, i) => {
    await sleep((i * WITHIN * 1000) / members.length);
    const done = await load(how, member, requests);
    over += 1;
    if (over % 20 === 0) console.error(`${how.name}: ${over} of ${members.length} after ${round((performance.now() - began) / 1000)} s`);
    return done;
  }));
  return {
    loads,
    all: (performance.now() - began) / 1000,
    nocobase: cpuSeconds(pids.nocobase) - before.nocobase,
    gate: cpuSeconds(pids.gate) - before.gate,
  };
}

await stage.start();
try {
  const client = await signedIn();
  const { cookies } = await client.context.storageState();
  const requests = await record(cookies);
  await client.context.close();
  console.error(`${requests.length} requests; ${MEMBERS} members sign in`);

  await stage.simulate('PATCH', 'settings', { consent: 'allow' });
  const data = await stage.simulate('GET', 'data');
  const company = data.companies.find((c) => c.corp_id === CORP);
  const people = Array.from({ length: MEMBERS }, (_, i) => ({
    userid: `nine${i}`, name: `Nine ${i}`, mobile: String(13_700_000_000 + i), departments: [3],
  }));
  company.members.push(...people);
  await stage.simulate('PUT', 'data', data);
  const members = [];
  for (const { userid, mobile } of people) {
    const session = await signIn(userid);
    const [user] = await stage.nocobase.users({ phone: mobile });
    members.push({ ...session, direct: stage.nocobase.mint(user.id) });
  }
  const bearer = (value) => ({ authorization: `Bearer ${value}` });
  const gate = {
    name: 'through the gate', gate: true, port: stage.gate.port, host: new URL(stage.origin).host,
    identity: ({ cookie, token }, sends) => ({ cookie, ...(sends && bearer(token)) }),
  };
  const alone = {
    name: 'NocoBase alone', gate: false, port: stage.nocobase.port, host: `127.0.0.1:${stage.nocobase.port}`,
    identity: ({ direct }, sends) => (sends ? bearer(direct) : {}),
  };
  const compressing = await settled(requests.map((r) => stage.origin + r.path), members[0].cookie, SETTLE);
  const warm = [await load(alone, members[0], requests), await load(gate, members[0], requests)];
  const load0 = loadavg()[0];

  const results = {};
  for (const how of [alone, gate]) results[how.name] = await wave(how, members, requests);
  const rows = Object.entries(results).map(([name, { loads, all, ...cpu }]) => {
    const seconds = loads.map((l) => l.seconds);
    return {
      name, all, ...cpu, p50: median(seconds), p95: quantile(seconds, 0.95),
      mb: median(loads.map((l) => l.bytes)) / 1e6, failed: loads.flatMap((l) => l.failed),
    };
  });
  const lines = [
    `| ${MEMBERS} cold loads begun within ${WITHIN} s | p50 | p95 | last one ready after | MB each | NocoBase's CPU | gate's CPU | failed requests |`,
    '|---|---|---|---|---|---|---|---|',
    ...rows.map((r) => `| ${r.name} | ${round(r.p50, 1)} s | ${round(r.p95, 1)} s | ${round(r.all)} s | ${round(r.mb, 2)} | ` +
      `${round(r.nocobase, 1)} s | ${r.name === alone.name ? '' : `${round(r.gate, 1)} s`} | ${round(r.failed.length)} |`),
  ];
  const [a, g] = rows;
  const ratio = (what) => round(g[what] / a[what], 2);
  lines.push(`| gate / alone (aim) | ${ratio('p50')} | ${ratio('p95')} (0.4) | ${ratio('all')} | ${ratio('mb')} | ${ratio('nocobase')} (0.45) | | |`);
  console.log(lines.join('\n'));
  console.log(`\n${requests.length} requests each, ${CONNECTIONS} connections; one load by itself: ${round(warm[0].seconds, 1)} s alone, ` +
    `${round(warm[1].seconds, 1)} s through the gate; ${compressing}; ${cpus().length} cores, load average ${round(load0, 1)} before and ` +
    `${round(loadavg()[0], 1)} after.`);
  for (const { name, failed } of rows) {
    if (failed.length) console.log(`${name}: ${failed.length} requests failed, the first: ${failed.slice(0, 3).join('; ')}`);
  }
  if (process.env.OUT) writeFileSync(process.env.OUT, JSON.stringify({ results, requests: requests.length, compressing, load: loadavg() }, null, 1));
} finally {
  await stage.stop();
}
