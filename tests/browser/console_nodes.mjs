// Two gates that share a Redis, before the real NocoBase: the administrator's window is on one, the members' are on the other.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, enter, marked, menu } from './helpers.mjs';
import { Program } from './process.mjs';
import { stage, UA } from './stage.mjs';

const MEMBERS = '/wecom-gate/console/members';
const REFUSED = '/wecom-gate/console/refused';
/** Windows with this in their User-Agent are on the second node. */
const ON_B = 'on-node-b';

/** One address for both gates. */
async function balancer(port, gates) {
  const open = new Set();
  const server = net.createServer((from) => {
    open.add(from);
    from.on('error', () => {}).on('close', () => open.delete(from));
    from.once('data', (head) => {
      from.pause();
      const to = net.connect(gates[head.includes(ON_B) ? 1 : 0].port, '127.0.0.1');
      to.on('error', () => from.destroy()).on('close', () => from.destroy());
      from.on('close', () => to.destroy());
      to.write(head);
      from.pipe(to).pipe(from);
    });
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return () => new Promise((resolve) => {
    server.close(resolve);
    open.forEach((socket) => socket.destroy());
  });
}

/** Loads the page again until it shows this. */
async function shows(page, locator) {
  const end = Date.now() + 60_000;
  while (!(await locator.first().isVisible())) {
    assert.ok(Date.now() < end, `not shown: ${locator}`);
    await sleep(300);
    await page.reload();
  }
}

describe('the console with two gates and Redis', () => {
  let own;
  let redis;
  let a;
  let b;
  let close;

  const user = (username, phone) => stage.nocobase.call('users:create', { username, nickname: username, phone, roles: ['member'] });
  const onB = (member, device = 'phone') => stage.client(member, device, { userAgent: `${UA[device]} ${ON_B}` });

  before(async () => {
    await stage.gate.stop();
    own = stage.serviceUser;
    stage.serviceUser = await stage.nocobase.serviceUser('wecom_gate_nodes', ({ usersAuthenticators, issuedTokens }) => {
      usersAuthenticators.destroy = [];
      issuedTokens.view.push('signInTime');
    });
    const port = await stage.freePort();
    redis = new Program('redis', 'redis-server', ['--bind', '127.0.0.1', '--port', `${port}`, '--save', '', '--appendonly', 'no', '--dir', stage.dir]);
    stage.closing(() => redis.stop());
    await redis.line(/Ready to accept connections/);
    const settings = {
      nocobase: ['auto_create_user = false'],
      access: ['admins = ["wecom/nina"]'],
      session: [`redis = "redis://127.0.0.1:${port}"`],
    };
    [a, b] = [
      await stage.startGate('node-a', { ...settings, port: await stage.freePort() }),
      await stage.startGate('node-b', { ...settings, port: await stage.freePort() }),
    ];
    for (const gate of [a, b]) await gate.line(/connected to Redis/);
    stage.gate = a;
    close = await balancer(new URL(stage.origin).port, [a, b]);
    for (const [userid, mobile] of [['nina', '13800000101'], ['piet', '13800000102'], ['gast', '13800000103'], ['moved-on', '13800000104']]) {
      await stage.member({ userid, name: `${userid} N.`, mobile });
    }
    await user('nina', '13800000101');
    await user('piet', '13800000102');
  });

  after(async () => {
    await close?.();
    for (const gate of [a, b]) await gate?.stop();
    await redis?.stop();
    stage.serviceUser = own;
    stage.gate = await stage.startGate('a-after-nodes');
  });

  test('shows on one node who was refused and who was seen on the other, and ends a session there at once', async (t) => {
    const admin = await stage.client('nina', 'desktop');
    await enter(admin, { consent: true });

    const guest = await onB('gast');
    await guest.page.goto(stage.origin + stage.page);
    await guest.page.getByRole('button', { name: 'Allow' }).click();
    await guest.page.getByRole('heading', { name: 'You have no account here yet' }).waitFor();
    const number = await guest.page.locator('dt:text-is("Request") + dd').innerText();
    await admin.page.goto(`${stage.origin}${REFUSED}?q=${encodeURIComponent(number)}`);
    await shows(admin.page, admin.page.getByText('wecom/gast'));
    await admin.page.getByText('no_matching_user').waitFor();
    assert.equal(await admin.page.locator('.rows > li').count(), 1);
    assert.equal(await admin.page.getByText('on this node').count(), 0);
    assert.ok(b.lines.some((l) => l.includes(number)) && !a.lines.some((l) => l.includes(`"request_id":"${number}"`)), 'refused on the other node');
    await stage.picture(admin.page, 'console-nodes-refused');

    const member = await onB('piet');
    await enter(member, { consent: true });
    await admin.page.goto(`${stage.origin}${MEMBERS}?q=wecom%2Fpiet`);
    await shows(admin.page, admin.page.getByText(/Last seen .*(AM|PM)/));
    assert.equal(await admin.page.getByText('on this node').count(), 0);
    await admin.page.getByText(/WeCom, Android/).waitFor();
    await stage.picture(admin.page, 'console-nodes-member');

    const cookies = (await member.context.cookies(stage.origin)).map((c) => `${c.name}=${c.value}`).join('; ');
    const phantom = await member.page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN'));
    const headers = { cookie: cookies, authorization: `Bearer ${phantom}` };
    assert.equal((await stage.ask(b, '/api/auth:check', { headers })).status, 200);
    const changed = await marked(member.page);
    const began = Date.now();
    await admin.page.getByRole('button', { name: 'End all sessions' }).click();
    await b.line(/"session_ended".*ended on another node/);
    t.diagnostic(`the other node had ended it ${Date.now() - began} ms after the click`);
    assert.equal((await stage.ask(b, '/api/auth:check', { headers })).status, 401);
    assert.equal((await stage.ask(b, '/wecom-gate/me', { headers })).status, 401);
    await admin.page.getByText('Is not signed in.').waitFor();
    // The open page starts again, with another session.
    await ask(member.page);
    await changed();
    await menu(member.page);
    assert.equal((await stage.ask(b, '/wecom-gate/me', { headers })).status, 401);
    const record = JSON.parse(await a.line(/"audit".*"session_ended"/));
    assert.deepEqual(
      [record.actor, record.userid, record.reason, record.client], ['administrator', 'piet', 'in the console, by wecom/nina', '127.0.0.1'],
    );
    assert.ok(record.request_id, JSON.stringify(record));
    await Promise.all([admin, guest, member].map((client) => client.close()));
  });

  test('removes a binding in NocoBase: the next tap, on the other node, matches the user who has the number now', async () => {
    const old = await user('moved-on-old', '13800000104');
    const member = await onB('moved-on');
    await enter(member, { consent: true });
    const me = () => member.page.evaluate(() => fetch('/wecom-gate/me').then((r) => r.json()));
    assert.equal((await me()).nocobase_user_id, old.id);
    await stage.nocobase.call(`users:update?filterByTk=${old.id}`, { phone: null });
    const now = await user('moved-on-now', '13800000104');

    const admin = await stage.client('nina', 'phone');
    await enter(admin);
    await admin.page.goto(`${stage.origin}${MEMBERS}?q=wecom%2Fmoved-on`);
    await stage.picture(admin.page, 'console-nodes-unbind');
    await admin.page.getByRole('button', { name: 'Remove the binding' }).click();
    await admin.page.getByText('Nothing was found.').waitFor();
    const rows = await stage.nocobase.call('usersAuthenticators:list?paginate=false');
    assert.ok(rows.every((row) => row.uuid !== 'moved-on'), JSON.stringify(rows));
    const record = JSON.parse(await a.line(/"audit".*"binding_removed"/));
    assert.deepEqual([record.actor, record.userid, record.nocobase_user], ['administrator', 'moved-on', old.id]);
    assert.ok(record.request_id && record.client, JSON.stringify(record));

    await member.context.clearCookies({ domain: '127.0.0.1', name: 'wecom_gate' });
    await enter(member);
    assert.equal((await me()).nocobase_user_id, now.id);
    await Promise.all([admin, member].map((client) => client.close()));
  });
});
