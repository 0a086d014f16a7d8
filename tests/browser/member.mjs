// A member signs in from WeCom and works in NocoBase.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ask, call, enter, marked, menu } from './helpers.mjs';
import { stage } from './stage.mjs';

export { ask, call, enter, marked, menu };

/** The pages of WeCom that a person saw: not those that only redirected. */
function seenOfWeCom(recorder) {
  const pages = recorder.responses.filter((r) => r.url.startsWith(stage.sim) && r.status === 200);
  return pages.map((r) => r.url);
}

describe('a member', () => {
  let client;
  before(async () => {
    client = await stage.client('lisi');
  });
  after(() => client.close());

  test('opens a deep link, agrees once, and lands there as who they are', async () => {
    const deep = `${stage.page}?view=open%20orders`;
    await client.page.goto(stage.origin + deep);
    await client.page.getByRole('button', { name: 'Allow' }).waitFor();
    await stage.picture(client.page, 'consent-desktop');
    await client.page.getByRole('button', { name: 'Allow' }).click();
    await menu(client.page);
    assert.equal(client.page.url(), stage.origin + deep);
    const me = await call(client.page, 'auth:check');
    assert.equal(me.status, 200);
    assert.equal(me.data.nickname, '李四');
    assert.equal(me.data.phone, '13800000002');
    await client.page.getByTestId('user-center-button').hover();
    await client.page.getByRole('menu').getByText('李四').waitFor();
    await stage.picture(client.page, 'nocobase-desktop');
  });

  test('carries nothing but the phantom', async () => {
    const { recorder } = client;
    await recorder.first('frames', isAuthorized, 'authorized');
    const calls = recorder.apiCalls(stage.origin);
    assert.ok(calls.length > 10, `${calls.length} calls`);
    for (const call of calls) {
      const sent = recorder.sentHeader(call, 'authorization');
      assert.ok(sent.length > 0, `no Authorization: ${call.url}`);
      for (const value of sent) assert.match(value, /^Bearer wcg_[\w-]+$/, call.url);
    }
    await recorder.assertNoToken();
  });

  test('has a page without errors', () => {
    const { recorder } = client;
    const refused = recorder.responses.filter((r) => r.status >= 400).map((r) => `${r.status} ${r.url}`);
    assert.deepEqual(refused, []);
    assert.deepEqual(recorder.console, []);
  });

  test('receives a notification while the page is open', async () => {
    const { recorder, page } = client;
    const { id } = (await call(page, 'auth:check')).data;
    await stage.nocobase.call('notificationChannels:create', {
      name: 'inbox', title: 'Inbox', notificationType: 'in-app-message',
    });
    await stage.nocobase.call('messages:send', {
      channelName: 'inbox',
      triggerFrom: 'test',
      message: { title: 'Order 7 is ready', content: 'In the warehouse' },
      receivers: { type: 'userId', value: [id] },
    });
    await recorder.first('frames', (f) => f.way === 'received' && f.text.includes('Order 7 is ready'), 'the message');
    await recorder.assertNoToken();
  });

  test('is authorised again when the connection is lost', async () => {
    const { recorder, context, page } = client;
    recorder.clear();
    await context.setOffline(true);
    await context.setOffline(false);
    await page.reload();
    await recorder.first('frames', isAuthorized, 'authorized');
    await recorder.assertNoToken();
  });

  test('uploads files, small and large, and sees them', async () => {
    const { page, recorder } = client;
    for (const storage of await stage.nocobase.call('storages:list')) {
      await stage.nocobase.call(`storages:update?filterByTk=${storage.id}`, { rules: { size: 100 << 20 } });
    }
    const seen = await page.evaluate(async () => {
      const headers = { Authorization: `Bearer ${localStorage.getItem('NOCOBASE_TOKEN')}` };
      const csrf = /nb_csrf_token_main=([^;]*)/.exec(document.cookie);
      if (csrf) headers['X-CSRF-Token'] = decodeURIComponent(csrf[1]);
      const upload = async (blob, name) => {
        const form = new FormData();
        form.append('file', blob, name);
        const response = await fetch('/api/attachments:create', { method: 'POST', headers, body: form });
        if (!response.ok) throw new Error(`${name}: ${response.status} ${await response.text()}`);
        return (await response.json()).data.url;
      };
      const sum = async (buffer) => new Uint8Array(await crypto.subtle.digest('SHA-256', buffer)).join();

      const canvas = document.createElement('canvas');
      canvas.width = 31;
      canvas.height = 17;
      const picture = await upload(await new Promise((r) => canvas.toBlob(r)), 'picture.png');
      const img = new Image();
      img.src = picture;
      await img.decode();

      const large = new Uint8Array(30 << 20);
      for (let i = 0; i < large.length; i += 65536) crypto.getRandomValues(large.subarray(i, i + 65536));
      const file = await upload(new Blob([large]), 'large.bin');
      const response = await fetch(file); // as a link does: with cookies alone
      const body = await response.arrayBuffer();
      return {
        picture, file, size: [img.naturalWidth, img.naturalHeight],
        status: response.status, same: (await sum(body)) === (await sum(large.buffer)),
      };
    });
    assert.match(seen.picture, /^\/files\//);
    assert.deepEqual(seen.size, [31, 17]);
    assert.equal(seen.status, 200);
    assert.ok(seen.same, 'the large file was returned as it was sent');
    const tab = await client.context.newPage();
    const response = await tab.goto(stage.origin + seen.picture);
    assert.equal(response.status(), 200);
    assert.match(response.headers()['content-type'], /^image\/png/);
    await tab.close();
    await recorder.assertNoToken();
    const stranger = await stage.ask(stage.gate, seen.file);
    assert.equal(stranger.status, 401);
  });

  test('stays signed in when gate and browser have been restarted', async () => {
    const state = await client.context.storageState();
    await stage.gate.stop();
    stage.gate = await stage.startGate('a');
    await stage.restartChromium();

    client = await stage.client('lisi', 'desktop', { state });
    await enter(client);
    assert.deepEqual(client.recorder.documents().filter((d) => d.url.startsWith(stage.sim)), []);
  });

  test('is signed in without a question on a new device: the binding is in NocoBase', async () => {
    await client.close();
    client = await stage.client('lisi');
    const other = client;
    await other.page.goto(`${stage.origin}${stage.page}?tab=2`);
    await menu(other.page);
    assert.equal(other.page.url(), `${stage.origin}${stage.page}?tab=2`, 'without the end of WeCom’s link');
    assert.ok(other.recorder.documents().some((d) => d.url.startsWith(stage.sim)), 'WeCom was asked');
    assert.deepEqual(seenOfWeCom(other.recorder), []);
    assert.equal((await call(other.page, 'auth:check')).data.nickname, '李四');
    await other.recorder.assertNoToken();
  });

  test('signs in on a phone, from the workbench', async () => {
    const phone = await stage.client('lisi', 'phone');
    await phone.page.goto(stage.sim);
    await stage.picture(phone.page, 'workbench-phone');
    await phone.page.getByRole('link', { name: /NocoBase/ }).first().click();
    await phone.page.waitForURL(`${stage.origin}/m**`);
    await phone.recorder.first('frames', isAuthorized, 'authorized');
    await phone.page.getByText('No pages yet').first().waitFor();
    assert.equal((await call(phone.page, 'auth:check')).data.nickname, '李四');
    await stage.picture(phone.page, 'nocobase-phone-m');
    await enter(phone);
    await stage.picture(phone.page, 'nocobase-phone-admin');
    await phone.recorder.assertNoToken();
    assert.deepEqual(phone.recorder.console, []);
    await phone.close();
  });

  test('is signed in to the new client of NocoBase as well', async () => {
    await client.close();
    client = await stage.client('lisi');
    const other = client;
    await other.page.goto(`${stage.origin}/v/admin`);
    await other.recorder.first('frames', isAuthorized, 'authorized');
    await other.page.getByTestId('user-center-button').waitFor();
    assert.ok(new URL(other.page.url()).pathname.startsWith('/v/admin'), other.page.url());
    await stage.picture(other.page, 'nocobase-v2');
    for (const call of other.recorder.apiCalls(stage.origin)) {
      for (const value of other.recorder.sentHeader(call, 'authorization')) assert.match(value, /^Bearer wcg_/);
    }
    await other.recorder.assertNoToken();
    // This client tries to save a model that members may not save; NocoBase itself refuses it.
    const { id } = (await call(other.page, 'auth:check')).data;
    const refused = other.recorder.responses.filter((r) => [401, 403].includes(r.status));
    for (const { url, id: requestId, status } of refused) {
      const { method, postData } = other.recorder.requests.find((r) => r.id === requestId);
      const direct = await fetch(url.replace(stage.origin, stage.nocobase.base), {
        method, body: postData,
        headers: { authorization: `Bearer ${stage.nocobase.mint(id)}`, 'content-type': 'application/json' },
      });
      assert.equal(direct.status, status, `${url} without the gate`);
    }
  });

  test('signs in by QR code in another browser', async () => {
    const other = await stage.client('lisi', 'desktop', { userAgent: undefined });
    await other.page.goto(stage.origin + stage.page);
    await stage.picture(other.page, 'qr-page');
    await other.page.getByRole('button', { name: /李四|Li Si/ }).first().click();
    await menu(other.page);
    assert.equal((await call(other.page, 'auth:check')).data.nickname, '李四');
    await other.close();
  });
});

function isAuthorized(frame) {
  return frame.way === 'received' && JSON.parse(frame.text).type === 'authorized';
}
