// The formulas of model.mjs against a simulation of a few gates, request by request, and docs/scale.md against the formulas.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DEPARTMENT, RECHECK, asked, askedTogether, load, met, table } from './model.mjs';

/** The same numbers in each run (mulberry32). */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Members who send `rate` requests per second each, at random times and to random nodes, for `seconds`. A node rechecks a member
 * with the first request that it sees `recheck` after its last result; where the nodes share, it has the results of the others.
 * As in src/session/member_check.rs, except for the spreading of the first rechecks.
 */
function play({ members, nodes, rate, seconds, shared, next }) {
  let questions = 0;
  for (let member = 0; member < members; member++) {
    const known = new Array(nodes).fill(-Infinity);
    let last = -Infinity;
    for (let now = -Math.log(1 - next()) / rate; now < seconds; now += -Math.log(1 - next()) / rate) {
      const node = Math.floor(next() * nodes);
      if (now - known[node] < RECHECK) continue;
      if (shared && now - last < RECHECK) {
        known[node] = last;
        continue;
      }
      // The very first is the sign-in, not a recheck.
      if (known[node] !== -Infinity) questions++;
      known[node] = last = now;
    }
  }
  return questions / members / seconds;
}

const close = (measured, expected, what) =>
  assert.ok(Math.abs(measured / expected - 1) < 0.05, `${what}: ${measured} in place of ${expected}`);

test('a simulated fleet rechecks as often as the formula says', () => {
  const next = random(20261128);
  const day = { members: 60, rate: 0.1, seconds: 40 * RECHECK, next };
  for (const nodes of [1, 2, 8, 40]) {
    // The first one of each node is not a recheck: this much of the time is lost.
    const whole = (day.seconds - RECHECK - nodes / day.rate) / day.seconds;
    close(play({ ...day, nodes, shared: false }), asked(nodes, day.rate) * whole, `${nodes} nodes`);
  }
});

test('nodes that share ask as often as one', () => {
  const next = random(7);
  const day = { members: 60, rate: 0.1, seconds: 40 * RECHECK, next };
  for (const nodes of [2, 8, 40]) {
    const shared = play({ ...day, nodes, shared: true });
    assert.ok(shared <= asked(1, day.rate) * 1.05, `${nodes} nodes: ${shared}`);
  }
});

/**
 * One department: as in src/login/member_lists.rs. A node asks for the list with the third of its members who is due within `recheck`,
 * or the first if the last list named three, and not twice within half of it; all others are asked about alone. Nodes that share know
 * whom another's list named, and do not ask. `sticky`: a member's requests reach one node.
 */
function playTogether({ people, nodes, rate, seconds, shared, sticky, next }) {
  const known = Array.from({ length: nodes }, () => new Array(people).fill(-Infinity));
  const lists = Array.from({ length: nodes }, () => ({ at: -Infinity, named: 0, due: 0, since: -Infinity }));
  const good = new Array(people).fill(-Infinity);
  let calls = 0;
  // The first of it is left out: no one is known yet.
  const from = seconds / 2;
  for (let now = 0; now < seconds; now += -Math.log(1 - next()) / (rate * people)) {
    const [member, any] = [Math.floor(next() * people), Math.floor(next() * nodes)];
    const node = sticky ? member % nodes : any;
    const [mine, list] = [known[node], lists[node]];
    if (mine[member] === -Infinity) {
      mine[member] = now;
      continue;
    }
    if (now - mine[member] < RECHECK) continue;
    if (now - list.since >= RECHECK) Object.assign(list, { due: 0, since: now });
    list.due++;
    if (shared && now - good[member] < RECHECK) {
      mine[member] = good[member];
      continue;
    }
    if (now > from) calls++;
    const few = DEPARTMENT.few;
    if (now - list.at >= RECHECK / 2 && mine[member] >= list.at && (list.due >= few || list.named >= few)) {
      const named = mine.map((at, who) => [at, who]).filter(([at]) => at !== -Infinity);
      for (const [, who] of named) mine[who] = now;
      // Whom this node does not know, another may.
      good.fill(now);
      Object.assign(list, { at: now, named: named.length, due: 0, since: now });
    } else {
      mine[member] = good[member] = now;
    }
  }
  return calls / (seconds - from);
}

test('a simulated department costs as many calls as the formula says', () => {
  const next = random(11);
  const day = { rate: 0.1, seconds: 400 * RECHECK, next };
  for (const [people, nodes] of [[12, 1], [12, 2], [40, 2], [40, 8]]) {
    const calls = playTogether({ ...day, people, nodes, shared: false });
    close(calls, askedTogether(people, nodes, day.rate), `${people} people, ${nodes} nodes`);
  }
  for (const [people, nodes] of [[12, 2], [40, 2], [40, 8]]) {
    const calls = playTogether({ ...day, people, nodes, shared: true });
    const formula = askedTogether(people, nodes, day.rate, { redis: true });
    assert.ok(calls <= formula * 1.05, `${people} people, ${nodes} nodes that share: ${calls} in place of ${formula}`);
    const sticky = playTogether({ ...day, people, nodes, shared: true, sticky: true });
    assert.ok(sticky <= formula * 1.05, `${people} people, ${nodes} nodes, one for each: ${sticky} in place of ${formula}`);
  }
});

test('two people of a department are asked about one by one', () => {
  const next = random(12);
  const calls = playTogether({ people: 2, nodes: 1, rate: 0.1, seconds: 400 * RECHECK, next });
  close(calls, 2 * asked(1, 0.1), 'two people');
});

test('a user meets as many nodes as the formula says', () => {
  const next = random(9);
  for (const [nodes, requests] of [[1, 5], [2, 2], [8, 90], [100, 90], [1000, 90]]) {
    let all = 0;
    for (let run = 0; run < 500; run++) all += new Set(Array.from({ length: requests }, () => Math.floor(next() * nodes))).size;
    close(all / 500, met(nodes, requests), `${requests} requests to ${nodes} nodes`);
  }
});

test('the document shows what the model gives', () => {
  const text = readFileSync(new URL('../../docs/scale.md', import.meta.url), 'utf8');
  for (const options of [{}, { redis: true }, { redis: true, sticky: true }]) {
    assert.ok(text.includes(table(options)), `docs/scale.md lacks the table of ${JSON.stringify(options)}: node tests/scale/model.mjs`);
  }
});

test('single cases of the document hold', () => {
  const largest = { members: 10_000_000, companies: 50, nodes: 1000 };
  const share = (fleet) => load(fleet).wecomShare;
  assert.ok(share({ members: 31_000, companies: 1, nodes: 2 }) < 1 && share({ members: 33_000, companies: 1, nodes: 2 }) > 1);
  assert.ok(share({ members: 62_000, companies: 1, nodes: 8, redis: true }) < 1);
  assert.ok(share({ members: 64_000, companies: 1, nodes: 8, redis: true }) > 1);
  assert.ok(load({ ...largest, redis: true }).redisCommands > 100_000);
  assert.ok(load({ ...largest, redis: true, sticky: true }).redisCommands < 100_000);
});
