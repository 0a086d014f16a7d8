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
await import('./loading.mjs');
await import('./sign_out.mjs');
await import('./administration.mjs');
await import('./console.mjs');
await import('./console_nodes.mjs');
await import('./behind_tls.mjs');
await import('./crosssite.mjs');
await import('./identity_binding.mjs');
await import('./link.mjs');
await import('./roles.mjs');
await import('./password_sign_in.mjs');
await import('./outside.mjs');
await import('./shared_device.mjs');
await import('./entries.mjs');
await import('./form.mjs');
await import('./company.mjs');
await import('./session_expiry.mjs');
await import('./delivery.mjs');
await import('./forward.mjs');
