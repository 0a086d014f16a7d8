// A member's way in, and what they find there.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { stage } from './stage.mjs';

/** Signs in from the deep link on, past consent where WeCom asks. */
export async function enter(client, path = stage.page, { consent = true } = {}) {
  await client.page.goto(stage.origin + path);
  if (consent) await client.page.getByRole('button', { name: 'Allow' }).click();
  await client.page.waitForURL((url) => url.origin === stage.origin && !url.pathname.startsWith('/wecom-gate/'));
}

/** What the page itself is told by NocoBase: with the token that it keeps. */
export function checkInPage(page) {
  return page.evaluate(async () => {
    const token = localStorage.getItem('NOCOBASE_TOKEN');
    const answer = await fetch('/api/auth:check', { headers: { Authorization: `Bearer ${token}` } });
    return { status: answer.status, ...(await answer.json()) };
  });
}

/** NocoBase is there, with its menu. */
export async function open(page) {
  await page.getByText('Orders 订单').first().waitFor();
}

describe('a member', () => {
  let client;
  before(async () => {
    client = await stage.client('lisi');
  });

  test('opens a deep link, agrees once, and lands there as who they are', async () => {
    const deep = `${stage.page}?view=open%20orders`;
    await client.page.goto(stage.origin + deep);
    await client.page.getByRole('button', { name: 'Allow' }).waitFor();
    await stage.picture(client.page, 'consent-desktop');
    await client.page.getByRole('button', { name: 'Allow' }).click();
    await open(client.page);
    assert.equal(client.page.url(), stage.origin + deep);
    const me = await checkInPage(client.page);
    assert.equal(me.status, 200);
    assert.equal(me.data.nickname, '李四');
    await stage.picture(client.page, 'nocobase-desktop');
  });

  test('carries nothing but the phantom', async () => {
    const { watch } = client;
    await watch.first('frames', (f) => f.way === 'received' && f.text.includes('"authorized"'), 'authorized');
    const calls = watch.apiCalls(stage.origin);
    assert.ok(calls.length > 10, `${calls.length} calls`);
    for (const call of calls) {
      const sent = watch.sentHeader(call, 'authorization');
      assert.ok(sent.length > 0 || call.type === 'Preflight', `no Authorization: ${call.url}`);
      for (const value of sent) assert.match(value, /^Bearer wcg_[\w-]+$/, call.url);
    }
    await watch.assertNoToken();
  });
});
