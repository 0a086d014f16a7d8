// The formulas of model.mjs against a simulation of a few gates, request by request, and docs/scale.md against the formulas.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { RECHECK, asked, load, met, table } from './model.mjs';

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
