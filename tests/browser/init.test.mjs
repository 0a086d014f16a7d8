// `wecom-gate init` against the real NocoBase: two commands from nothing to a member's sign-in that ends in NocoBase, a second
// run that changes nothing, and one after a manual clean-up.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { call, menu } from './helpers.mjs';
import { Program } from './process.mjs';
import { CORP, GATE, stage } from './stage.mjs';

const ROLE = 'wecom_gate';
let folder;
let gate;

/** Removes everything that the gate has in NocoBase, as NocoBase's pages do: those leave the rows of a role's rights. */
async function cleanUp({ rights }) {
  const { nocobase } = stage;
  const rows = await nocobase.call(`roles/${ROLE}/resources:list?paginate=false`);
  if (rights) for (const { id } of rows) await nocobase.call(`roles/${ROLE}/resources:destroy?filterByTk=${id}`, {});
  await nocobase.call(`roles:destroy?filterByTk=${ROLE}`, {});
  for (const { id } of await nocobase.users({ username: 'wecom-gate' })) await nocobase.call(`users:destroy?filterByTk=${id}`, {});
}

/** The gate's rows in NocoBase. */
async function ours() {
  const { nocobase } = stage;
  const roles = await nocobase.call(`roles:list?filter=${encodeURIComponent(JSON.stringify({ name: ROLE }))}`);
  const rights = await nocobase.call(`roles/${ROLE}/resources:list?paginate=false`);
  const users = await nocobase.users({ username: 'wecom-gate' });
  return { roles: roles.length, rights: rights.map((r) => r.name).sort(), users: users.map((u) => u.id) };
}

/** Runs it with all answers given. */
async function init(...more) {
  const { companies } = await stage.simulate('GET', 'data');
  const { secret } = companies.find((c) => c.corp_id === CORP).apps.find((a) => a.agent_id === 1000002);
  const origin = new URL(stage.origin);
  const args = [
    'init', '--yes', '--dir', folder, '--group', 'root', '--origin', stage.origin, '--listen', origin.host,
    '--nocobase', `127.0.0.1:${stage.nocobase.port}`, '--nocobase-account', 'admin@nocobase.com',
    '--corp-id', CORP, '--agent-id', '1000002', '--api-base', stage.sim,
    '--authorize-url', `${stage.sim}/connect/oauth2/authorize`, '--web-login-url', `${stage.sim}/wwlogin/sso/login`, ...more,
  ];
  const env = {
    WECOM_GATE_INIT_NOCOBASE_PASSWORD: 'admin123', WECOM_GATE_INIT_SECRET: secret, WECOM_GATE_INIT_JWT_SECRET: stage.secret,
  };
  return new Promise((resolve) => {
    execFile(GATE, args, { env }, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, text: stdout + stderr }));
  });
}

/** The gate as the service manager starts it. */
async function start() {
  gate = new Program('gate of init', GATE, ['run', '--conf', join(folder, 'wecom-gate.toml')]);
  await gate.line(/"listening".*"http"/);
}

/** A member opens the app for the first time. */
async function tap(member, name) {
  const client = await stage.client(member);
  await client.page.goto(`${stage.origin}/admin`);
  await client.page.getByRole('button', { name: 'Allow' }).click();
  await menu(client.page);
  const me = await call(client.page, 'auth:check');
  assert.deepEqual([me.status, me.data.nickname], [200, name]);
  await client.close();
}

before(async () => {
  await stage.start();
  await stage.gate.stop();
  await cleanUp({ rights: true });
  folder = join(stage.dir, 'etc', 'wecom-gate');
}, { timeout: 240_000 });
after(async () => {
  await gate?.stop();
  await stage.stop();
}, { timeout: 60_000 });
afterEach(async (t) => {
  if (t.passed === false || t.error) await stage.pictures(t.name);
});

test('init creates everything, and the first sign-in ends in NocoBase', async () => {
  assert.deepEqual(await ours(), { roles: 0, rights: [], users: [] });
  const began = Date.now();
  const made = await init('--accounts', 'create');
  assert.equal(made.code, 0, made.text);
  await start();
  await tap('lisi', '李四');
  const seconds = (Date.now() - began) / 1000;
  console.log(`from nothing to NocoBase: 2 commands (init, run), ${seconds.toFixed(0)} s with one Chromium`);
  assert.ok(seconds < 120, `${seconds} s`);
  const there = await ours();
  assert.deepEqual([there.roles, there.rights, there.users.length], [1, ['issuedTokens', 'users', 'usersAuthenticators'], 1]);
});

test('init a second time changes nothing', async () => {
  const [before, file] = [await ours(), readFileSync(join(folder, 'wecom-gate.toml'), 'utf8')];
  const again = await init();
  assert.equal(again.code, 0, again.text);
  assert.match(again.text, /Nothing to do/);
  assert.match(again.text, /ok {6}origin/);
  assert.deepEqual([await ours(), readFileSync(join(folder, 'wecom-gate.toml'), 'utf8')], [before, file]);
});

test('init repairs what a manual clean-up has broken', async () => {
  await cleanUp({ rights: false });
  const left = await ours();
  assert.deepEqual([left.roles, left.users], [0, []]);
  assert.equal(left.rights.length, 3, 'NocoBase removes the rows by itself now: change the documents');
  const again = await init();
  assert.equal(again.code, 0, again.text);
  const there = await ours();
  assert.deepEqual([there.roles, there.rights, there.users.length], [1, ['issuedTokens', 'users', 'usersAuthenticators'], 1]);
  await gate.stop();
  await start();
  await tap('WangWu', '王五');
});
