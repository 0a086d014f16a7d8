// `make test-browser`: real Chromium, real NocoBase, the gate between them, the simulator as WeCom.
//
// One file, so that all start once; the parts are in the modules.
import { after, afterEach, before } from 'node:test';
import { stage } from './stage.mjs';

before(() => stage.start(), { timeout: 240_000 });
after(() => stage.stop(), { timeout: 60_000 });
afterEach(async (t) => {
  if (t.passed === false || t.error) await stage.pictures(t.name);
});

await import('./check.mjs');
await import('./member.mjs');
await import('./out.mjs');
await import('./elsewhere.mjs');
await import('./crosssite.mjs');
await import('./who.mjs');
await import('./roles.mjs');
await import('./doors.mjs');
await import('./outside.mjs');
await import('./turns.mjs');
await import('./entries.mjs');
await import('./form.mjs');
await import('./healing.mjs');
await import('./delivery.mjs');
await import('./forward.mjs');
