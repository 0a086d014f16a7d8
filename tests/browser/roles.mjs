// Departments become roles: in the real NocoBase, with a service account that has only the rights it needs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { UA, stage } from './stage.mjs';

const ROLES = ['sales', 'engineer', 'byhand'];

describe('roles', () => {
  let own;

  before(async () => {
    for (const name of ROLES) await stage.nocobase.call('roles:create', { name, title: name });
    await stage.gate.stop();
    own = stage.serviceUser;
    stage.serviceUser = await stage.nocobase.serviceUser('wecom_gate_roles', ({ users }) => {
      users.view.push('roles');
      users.update = ['roles'];
    });
    stage.gate = await stage.startGate('roles', {
      entry: ['roles = [{ department = 3, role = "sales" }, { department = 2, role = "engineer" }]'],
    });
  });

  after(async () => {
    await stage.gate.stop();
    stage.serviceUser = own;
    stage.gate = await stage.startGate('a-after-roles');
  });

  /** Signs in, and asks NocoBase with the session which of the roles it may use. */
  async function signIn() {
    const client = await stage.client('roland', 'phone');
    const { page } = client;
    await page.goto(`${stage.origin}/wecom-gate/login?rd=/global.css`);
    const allow = page.getByRole('button', { name: 'Allow' });
    if (await allow.count()) {
      await allow.click();
      await page.waitForURL((url) => url.origin === stage.origin);
    }
    const me = await (await page.goto(`${stage.origin}/wecom-gate/me`)).json();
    const id = me.nocobase_user_id;
    const can = [];
    for (const role of ['member', ...ROLES]) {
      // What NocoBase has in memory counts, not its table: a new session of this user.
      const response = await fetch(`${stage.nocobase.base}/api/roles:check`, {
        headers: { authorization: `Bearer ${stage.nocobase.mint(id)}`, 'x-role': role, 'user-agent': UA.phone },
      });
      if (response.status === 200) can.push(role);
    }
    await client.close();
    return { id, can };
  }

  test('follow the member from one department to another', async () => {
    await stage.member({ userid: 'roland', name: 'Roland', mobile: '13800000071', departments: [4] });
    const { id, can } = await signIn();
    assert.deepEqual(can, ['member', 'sales'], 'department 4 is below 3');
    await stage.nocobase.call('users:update?filterByTk=' + id, { roles: ['member', 'sales', 'byhand'] });
    await stage.member({ userid: 'roland', name: 'Roland', mobile: '13800000071', departments: [2] });
    assert.deepEqual((await signIn()).can, ['member', 'engineer', 'byhand']);
    assert.match(stage.gate.lines.join('\n'), /"roles changed"/);
  });
});
