// Which NocoBase user a WeCom member is bound to. No account is taken over: every ambiguity is refused.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CORP, stage } from './stage.mjs';

const PARTNER = 'wwfedcba9876543210';

/** Changes WeCom's address book: adds `members`, or replaces those with the same userid. */
async function members(...members) {
  const data = await stage.simulate('GET', 'data');
  const company = data.companies.find((c) => c.corp_id === CORP);
  const key = (m) => m.userid.toLowerCase();
  company.members = company.members.filter((old) => !members.some((m) => key(m) === key(old)));
  company.members.push(...members.map((m) => ({ name: m.userid, departments: [2], ...m })));
  await stage.simulate('PUT', 'data', data);
}

const user = (fields) => stage.nocobase.call('users:create', { nickname: 'Somebody', ...fields });

/** A member's sign-in, as far as it gets: NocoBase's user id, or the heading of the page that refuses. */
async function signIn(member) {
  const client = await stage.client(member, 'phone');
  const { page } = client;
  await page.goto(`${stage.origin}/wecom-gate/login?rd=/global.css`);
  const allow = page.getByRole('button', { name: 'Allow' });
  if (await allow.count()) {
    await allow.click();
    await page.waitForURL((url) => url.origin === stage.origin);
  }
  const landed = new URL(page.url()).pathname === '/global.css';
  const heading = landed ? undefined : await page.getByRole('heading').first().innerText();
  const me = await page.goto(`${stage.origin}/wecom-gate/me`);
  assert.equal(me.status(), landed ? 200 : 401);
  const id = landed ? (await me.json()).nocobase_user_id : undefined;
  await client.close();
  return id ?? heading;
}

/** The gate with other rules, for one group of tests. */
function rules(...nocobase) {
  before(async () => {
    await stage.gate.stop();
    stage.gate = await stage.startGate('rules', { nocobase });
  });
  after(async () => {
    await stage.gate.stop();
    stage.gate = await stage.startGate('a-again');
  });
}

describe('an account is not taken over', () => {
  const STRANGER = 'You are not a member of this company';
  const LINKED = 'This app is for another company';
  const NOT_FOUND = 'Your account could not be found';
  const NO_ACCOUNT = 'You have no account here yet';
  const TAKEN = 'This account belongs to someone else';

  describe('by phone number', () => {
    test('by a member of a linked company', async () => {
      // Same userid as our own member, and as our own user.
      await user({ username: 'chenyi', phone: '13900000001' });
      assert.equal(await signIn(`${PARTNER}/chenyi`), LINKED);
      assert.equal(await signIn(`${PARTNER}/zhangsan`), LINKED);
    });

    test('by someone outside the company', async () => {
      await user({ username: 'oStranger00000000000000000002' });
      for (const openid of ['oExternalCustomer000000000001', 'oStranger00000000000000000002']) {
        assert.equal(await signIn(openid), STRANGER);
      }
    });

    test('by a number of two users that is written in two ways', async () => {
      await user({ phone: '13800000031' });
      await user({ phone: '+8613800000031' });
      await members({ userid: 'han', mobile: '13800000031' });
      assert.equal(await signIn('han'), 'Several accounts could be yours');
    });

    test('by the same digits in another country', async () => {
      const american = await user({ phone: '+1 3800000032' });
      await members({ userid: 'jiang', mobile: '13800000032' });
      const id = await signIn('jiang');
      assert.ok(Number.isInteger(id) && id !== american.id, `${id}`);
    });

    test('by registering someone else’s name in advance', async () => {
      const early = await user({ username: 'yangtao', password: 'known-to-mallory', email: 'yangtao@example.com' });
      await members({ userid: 'yangtao', mobile: '13800000033', biz_mail: 'yangtao@example.com' });
      const id = await signIn('yangtao');
      assert.ok(Number.isInteger(id) && id !== early.id, `${id}`);
      const [own] = await stage.nocobase.users({ id });
      assert.deepEqual([own.username, own.email, own.phone], [null, null, '13800000033']);
    });

    test('by a later owner of the phone number', async () => {
      const { id } = await user({ phone: '13800000034' });
      await members({ userid: 'feng', mobile: '13800000034' });
      assert.equal(await signIn('feng'), id);
      await members({ userid: 'feng', mobile: '13800000035' }, { userid: 'he', mobile: '13800000034' });
      assert.equal(await signIn('he'), TAKEN);
      assert.equal(await signIn('feng'), id, 'the binding counts');
      // Nor by a user who enters it in their own account.
      const other = await user({ phone: '13800000035' });
      assert.equal(await signIn('feng'), id);
      assert.notEqual(id, other.id);
    });

    test('by another case of a userid, which is the same member', async () => {
      const { id } = await user({ phone: '13800000036' });
      await members({ userid: 'xie', mobile: '13800000036' });
      assert.equal(await signIn('xie'), id);
      await members({ userid: 'XIE', mobile: '13800000037' });
      assert.equal(await signIn('XIE'), id);
      const bindings = await stage.nocobase.call(`usersAuthenticators:list?filter=${JSON.stringify({ userId: id })}`);
      assert.deepEqual(bindings.map((b) => b.uuid), ['xie']);
    });
  });

  describe('by e-mail address', () => {
    rules('match_by = ["email"]', 'auto_create_user = false');

    test('that a member typed in', async () => {
      const boss = await user({ email: 'ceo@example.com' });
      await members(
        { userid: 'mallory', email: 'ceo@example.com', biz_mail: 'mallory@example.com' },
        { userid: 'mallet', email: 'ceo@example.com' },
        { userid: 'ceo', biz_mail: 'CEO@example.com', email: 'me@mail.example' },
      );
      assert.equal(await signIn('mallory'), NO_ACCOUNT);
      assert.equal(await signIn('mallet'), NOT_FOUND);
      assert.equal(await signIn('ceo'), boss.id, 'the company’s own');
    });
  });

  describe('by user name', () => {
    rules('match_by = ["username"]', 'auto_create_user = true');

    test('that differs in case', async () => {
      const [upper, lower] = [await user({ username: 'GUO' }), await user({ username: 'deng' })];
      await members({ userid: 'guo' }, { userid: 'deng' });
      const id = await signIn('guo');
      assert.ok(Number.isInteger(id) && id !== upper.id, `${id}`);
      assert.equal(await signIn('deng'), lower.id);
    });

    test('that belongs to another member', async () => {
      const { id } = await user({ username: 'tang' });
      await stage.nocobase.call('usersAuthenticators:create', { userId: id, uuid: 'xu', authenticator: 'wecom' });
      await members({ userid: 'tang' }, { userid: 'xu' });
      assert.equal(await signIn('tang'), TAKEN);
      assert.equal(await signIn('xu'), id);
    });
  });
});
