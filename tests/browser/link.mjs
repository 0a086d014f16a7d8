// A member without a matching NocoBase user links an account by its password, with `nocobase.link_by_password`.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertAccessible } from './axe.mjs';
import { menu } from './helpers.mjs';
import { stage } from './stage.mjs';

const PASSWORD = 'Old & trusted 1+1=2%';

/** As far as a member gets who opens the page: to the form, or into NocoBase. */
async function open(client) {
  const { page } = client;
  await page.goto(stage.origin + stage.page);
  const allow = page.getByRole('button', { name: 'Allow' });
  const form = page.getByLabel('Password');
  const inside = page.getByText('Orders 订单');
  await allow.or(form).or(inside).first().waitFor();
  if (await allow.isVisible()) {
    await allow.click();
    await form.or(inside).first().waitFor();
  }
}

async function enter(page, account, password) {
  await page.getByLabel('User name or e-mail').fill(account);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Link account and sign in' }).click();
}

const bindings = (userId) =>
  stage.nocobase.call(`usersAuthenticators:list?filter=${encodeURIComponent(JSON.stringify({ userId }))}`);

describe('with nocobase.link_by_password', () => {
  let user;
  before(async () => {
    await stage.gate.stop();
    stage.gate = await stage.startGate('link', { nocobase: ['auto_create_user = false', 'link_by_password = true'] });
    user = await stage.nocobase.call('users:create', {
      nickname: 'Lin Linked', username: 'lin.old', email: 'lin.old@example.com', password: PASSWORD, roles: ['member'],
    });
    await stage.member({ userid: 'lin', name: 'Lin 林', mobile: '13800000093' });
    await stage.member({ userid: 'mei', name: 'Mei 梅', mobile: '13800000094' });
  });
  after(async () => {
    await stage.gate.stop();
    stage.gate = await stage.startGate('a');
  });

  test('a member who matches no user links an account once, and is then signed in at once', async () => {
    const client = await stage.client('lin', 'phone');
    const { page } = client;
    await open(client);
    await page.getByRole('heading', { name: 'You have no account here yet' }).waitFor();
    await page.getByText('In WeCom you are Lin 林 (lin)').waitFor();
    await stage.picture(page, 'link-phone');
    await assertAccessible(page, 'main');

    // NocoBase's own words, in the language of the page; the account is still there, the password is not.
    await enter(page, 'lin.old', 'wrong');
    const alert = page.getByRole('alert');
    await alert.waitFor();
    assert.equal(await alert.innerText(), 'The username/email or password is incorrect, please re-enter');
    assert.equal(await page.getByLabel('User name or e-mail').inputValue(), 'lin.old');
    assert.equal(await page.getByLabel('Password').inputValue(), '');
    await stage.picture(page, 'link-wrong-phone');
    await assertAccessible(page, 'main');

    await enter(page, 'lin.old@example.com', PASSWORD);
    await menu(page);
    assert.equal(page.url(), stage.origin + stage.page);
    const [row, ...more] = await bindings(user.id);
    assert.deepEqual([row.uuid, row.authenticator, more.length], ['lin', 'wecom', 0]);
    await client.close();

    // The second tap.
    const next = await stage.client('lin', 'phone');
    await open(next);
    await menu(next.page);
    await next.close();
  });

  test('administrators, and accounts of others, are not linked', async () => {
    for (const [account, password, heading] of [
      ['admin@nocobase.com', 'admin123', 'This account cannot be linked here'],
      ['lin.old', PASSWORD, 'This account belongs to someone else'],
    ]) {
      const client = await stage.client('mei', 'desktop');
      await open(client);
      await stage.picture(client.page, 'link-desktop');
      await enter(client.page, account, password);
      await client.page.getByRole('heading', { name: heading }).waitFor();
      await client.close();
    }
    const rows = await stage.nocobase.call('usersAuthenticators:list?paginate=false');
    assert.ok(rows.every((row) => row.uuid !== 'mei'), JSON.stringify(rows));
  });
});
