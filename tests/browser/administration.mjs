// `wecom-gate sessions` and `members` against the real NocoBase: whose session ends, and which user the next sign-in matches.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { ask, enter, marked, menu } from './helpers.mjs';
import { GATE, stage } from './stage.mjs';

/** Exit code and output of a command with the configuration of the stage's gate. */
function gate(...args) {
  return new Promise((resolve) => {
    execFile(GATE, [...args, '--conf', stage.gate.file], (error, out, err) => resolve({ code: error?.code ?? 0, out, err }));
  });
}

async function json(...args) {
  const { code, out, err } = await gate(...args, '--json');
  assert.deepEqual([code, err], [0, ''], out);
  return JSON.parse(out);
}

/** The credentials with which a program can act as this window. */
async function credentials(client) {
  const cookies = await client.context.cookies(stage.origin);
  const phantom = await client.page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN'));
  return { cookie: cookies.map((c) => `${c.name}=${c.value}`).join('; '), authorization: `Bearer ${phantom}` };
}

const status = async (headers) => (await stage.ask(stage.gate, '/api/auth:check', { headers })).status;

describe('an administrator at the shell', () => {
  test('sees who is signed in and ends one session: the open page starts again', async () => {
    await stage.member({ userid: 'shown-out', name: 'Shown out', mobile: '13800000078' });
    const [one, other] = [await stage.client('shown-out'), await stage.client('shown-out', 'phone')];
    await enter(one, { consent: true });
    const before = await json('sessions', 'list', '--member', 'shown-out');
    await enter(other);
    const ids = (all) => all.map((row) => row.session);
    const added = (await json('sessions', 'list', '--member', 'shown-out')).filter((row) => !ids(before).includes(row.session));
    assert.equal(added.length, 1);
    const { session } = before[0];
    const kept = [await credentials(one), await credentials(other)];
    assert.deepEqual([await status(kept[0]), await status(kept[1])], [200, 200]);

    const changed = await marked(one.page);
    const { code, out } = await gate('sessions', 'end', '--session', session.slice(0, 8), '--yes');
    assert.equal(code, 0);
    assert.match(out, /ended: 1/);
    assert.deepEqual([await status(kept[0]), await status(kept[1])], [401, 200]);
    await ask(one.page);
    await changed();
    await menu(one.page);
    assert.equal(await status(kept[0]), 401);
    const now = await json('sessions', 'list', '--member', 'shown-out');
    assert.ok(!ids(now).includes(session) && ids(now).includes(added[0].session));

    await json('sessions', 'end', '--member', 'shown-out', '--yes');
    assert.deepEqual(await json('sessions', 'list', '--member', 'shown-out'), []);
    assert.equal(await status(kept[1]), 401);
    await one.close();
    await other.close();
  });

  test('unbinds a member: the next sign-in matches the user who has the phone number now', async () => {
    const make = (username, phone) => stage.nocobase.call('users:create', { username, nickname: username, phone, roles: ['member'] });
    const old = await make('moved-old', '13800000077');
    await stage.member({ userid: 'moved', name: 'Moved', mobile: '13800000077' });
    const client = await stage.client('moved');
    await enter(client, { consent: true });
    const kept = await credentials(client);
    const shown = await json('members', 'show', 'moved');
    assert.deepEqual([shown.nocobase_user, shown.nocobase_name, shown.sessions.length], [old.id, 'moved-old', 1]);
    await stage.nocobase.call(`users:update?filterByTk=${old.id}`, { phone: null });
    const now = await make('moved-now', '13800000077');

    // The minimal role does not include deleting bindings.
    const denied = await gate('members', 'unbind', 'moved');
    assert.equal(denied.code, 1);
    assert.match(denied.err, /--as-user/);
    assert.equal(await status(kept), 200);
    const { sessions_ended } = await json('members', 'unbind', 'moved', '--as-user', '1');
    assert.equal(sessions_ended, 1);
    assert.equal(await status(kept), 401);
    assert.equal((await gate('members', 'show', 'moved')).code, 1);

    await client.context.clearCookies({ domain: '127.0.0.1', name: 'wecom_gate' });
    // WeCom asks for consent once.
    await enter(client);
    assert.equal((await json('members', 'show', 'moved')).nocobase_user, now.id);
    await client.close();
  });
});
