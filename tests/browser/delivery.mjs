// The other mode of token delivery. It also shows that the search for tokens finds one.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { call, enter } from './member.mjs';
import { stage } from './stage.mjs';

describe('with token_delivery = "browser"', () => {
  before(async () => {
    await stage.gate.stop();
    stage.gate = await stage.startGate('delivery', { nocobase: ['token_delivery = "browser"'] });
  });

  test('a member is signed in with NocoBase’s own token', async () => {
    const client = await stage.client('lisi');
    await enter(client);
    assert.equal((await call(client.page, 'auth:check')).data.nickname, '李四');
    assert.match(await client.page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN')), /^eyJ/);
    await client.recorder.first('frames', (f) => f.text.includes('"authorized"'), 'authorized');
    await assert.rejects(client.recorder.assertNoToken(), /a JWT in /);
    await client.close();
  });
});
