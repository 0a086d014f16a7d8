// NocoBase's page through the gate: its files are fetched once, sent compressed, and stay in the browser's cache.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { call, enter, menu } from './helpers.mjs';
import { stage } from './stage.mjs';

/** Files of NocoBase's client, and the translations of the page. */
const FILE = /\/(assets|static)\/|\/(global\.css|browser-checker\.js)(\?|$)|\/api\/app:getLang/;
const HASHED = /\/assets\/[^?]*-[0-9a-f]{8}\.(js|css)$|\?hash=/;

describe('files of the client', () => {
  let client;
  let cdp;
  let transferred; // bytes per request
  before(async () => {
    // A new window with an empty cache.
    client = await stage.client('lisi', 'desktop', { colorScheme: 'dark' });
    cdp = await client.context.newCDPSession(client.page);
    transferred = new Map();
    cdp.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => transferred.set(requestId, encodedDataLength));
    await cdp.send('Network.enable');
    // The first visitor signs in, consents where WeCom asks, and fills the gate's cache.
    await client.page.goto(stage.origin + stage.page);
    const allow = client.page.getByRole('button', { name: 'Allow' });
    await allow.or(client.page.getByText('Orders 订单')).first().waitFor();
    if (await allow.isVisible()) await allow.click();
    await menu(client.page);
  });
  after(() => client.close());

  const files = () => client.recorder.responses.filter((r) => r.id && FILE.test(r.url ?? ''));
  const headers = (response) => Object.fromEntries(Object.entries(response.headers).map(([k, v]) => [k.toLowerCase(), v]));

  test('come compressed, and for good where their name changes with their content', () => {
    const hashed = files().filter((r) => HASHED.test(r.url));
    assert.ok(hashed.length > 50, `${hashed.length} files`);
    for (const file of hashed) {
      const has = headers(file);
      assert.equal(file.status, 200, file.url);
      assert.equal(has['cache-control'], 'private, max-age=31536000, immutable', file.url);
      assert.ok(has.etag && /^Accept-Encoding(, Available-Dictionary)?$/.test(has.vary), file.url);
      if (Number(has['content-length']) > 2000) assert.match(has['content-encoding'] ?? '', /^(br|zstd|dcz)$/, file.url);
    }
    for (const file of files().filter((r) => !HASHED.test(r.url) && r.url.includes('.css'))) {
      assert.equal(headers(file)['cache-control'], 'private, no-cache', file.url);
    }
  });

  // Without a language the same texts would have another address than from the second load on. Over HTTP/1.1 the script's question
  // waits for one of the browser's six connections, like the page's own scripts: on a busy machine it may be too late.
  test('include the translations, by the language that NocoBase chooses for this user', async () => {
    const asked = () => client.recorder.requests.filter((r) => r.url.includes('app:getLang')).map((r) => new URL(r.url).search);
    for (let again = 0; again < 5 && asked().includes(''); again += 1) {
      await client.page.evaluate(() => localStorage.removeItem('NOCOBASE_LOCALE'));
      await client.page.goto('about:blank');
      await cdp.send('Network.clearBrowserCache');
      client.recorder.clear();
      await enter(client);
    }
    assert.deepEqual([...new Set(asked())], ['?locale=en-US']);
  });

  /** Bytes of files and translations that one more page load transfers. */
  async function again() {
    await client.page.goto('about:blank');
    client.recorder.clear();
    transferred.clear();
    await enter(client);
    const requests = client.recorder.requests.filter((r) => FILE.test(r.url));
    assert.ok(requests.length > 50, `${requests.length} requests`);
    const bytes = requests.map((r) => [transferred.get(r.id) ?? 0, r.url]).sort((a, b) => b[0] - a[0]);
    return { sum: bytes.reduce((all, [n]) => all + n, 0), most: JSON.stringify(bytes.slice(0, 8)) };
  }

  test('are not transferred again', async () => {
    for (const load of ['second', 'third']) {
      const { sum, most } = await again();
      assert.ok(sum < 5_000, `${load}: ${sum} bytes: ${most}`);
    }
    assert.equal((await call(client.page, 'auth:check')).data.nickname, '李四');
    const refused = client.recorder.responses.filter((r) => r.status >= 400).map((r) => `${r.status} ${r.url}`);
    assert.deepEqual([refused, client.recorder.console], [[], []]);
    await client.recorder.assertNoToken();
  });

  // The gate names them in the page once it has them and NocoBase's list of them.
  test('of plugins are requested before the client does, and once each', async () => {
    let links = [];
    while (links.length < 50) {
      await cdp.send('Network.clearBrowserCache');
      await again();
      links = await client.page.evaluate(() => [...document.querySelectorAll('link[rel=preload]')].map((l) => l.href));
    }
    assert.ok(links.every((link) => new URL(link).pathname.startsWith('/static/plugins/')), links.join(' '));
    const requested = client.recorder.requests.map((r) => r.url);
    for (const link of links) assert.equal(requested.filter((url) => url === link).length, 1, link);
    // Chromium warns of a requested file that is not used.
    assert.deepEqual(client.recorder.console, []);
  });

  // The largest plugin is the dictionary of the others (RFC 9842): once they are compressed with it, a new browser gets them so.
  test('of plugins are transferred without what they have in common', async () => {
    let small = [];
    while (small.length < 10) {
      await cdp.send('Network.clearBrowserCache');
      await again();
      small = files().filter((r) => headers(r)['content-encoding'] === 'dcz');
    }
    const dictionaries = files().filter((r) => headers(r)['use-as-dictionary']);
    assert.deepEqual([...new Set(dictionaries.map((r) => headers(r)['use-as-dictionary']))], ['match="/static/plugins/*"']);
    for (const file of small) {
      assert.match(file.url, /\/static\/plugins\/.*\?hash=/);
      assert.equal(headers(file).vary, 'Accept-Encoding, Available-Dictionary', file.url);
    }
    // They run, and the browser's cache keeps them.
    assert.equal((await call(client.page, 'auth:check')).data.nickname, '李四');
    assert.deepEqual(client.recorder.console, []);
    const { sum, most } = await again();
    assert.ok(sum < 5_000, `${sum} bytes: ${most}`);
  });

  test('are not sent without a session', async () => {
    const file = client.recorder.requests.find((r) => HASHED.test(r.url)).url.replace(stage.origin, '');
    assert.equal((await stage.ask(stage.gate, file)).status, 401);
  });
});
