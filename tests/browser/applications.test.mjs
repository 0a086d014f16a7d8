// One application (R44), shown with the real multi-app manager: a member of main is anonymous in any other application.
// `node --test --test-reporter=spec applications.test.mjs`; `make test-browser` runs it too.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, afterEach, before, test } from 'node:test';
import { enter } from './helpers.mjs';
import { CORP, stage } from './stage.mjs';

const SUB = 'sub1';
const PLUGIN = 'multi-app-manager';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Polls until the condition holds: NocoBase restarts with a new plugin, and takes half a minute to install an application. */
async function eventually(what, holds) {
  const until = Date.now() + 180_000;
  for (;;) {
    const found = await holds().catch(() => undefined);
    if (found) return found;
    assert.ok(Date.now() < until, `never: ${what}`);
    await pause(500);
  }
}

/** Directly to NocoBase, as the root user. To some ways of naming an application NocoBase never responds. */
async function direct(path, headers = {}) {
  const all = { authorization: `Bearer ${stage.nocobase.mint(1, 'root')}`, ...headers };
  try {
    const response = await fetch(`${stage.nocobase.base}${path}`, { headers: all, signal: AbortSignal.timeout(5000) });
    return { status: response.status, body: await response.text() };
  } catch (error) {
    return { status: 0, body: String(error) };
  }
}

/** The root user that the response is about: each application has one, with a name of its own. */
const nameOf = ({ body }) => {
  try {
    return JSON.parse(body).data?.nickname;
  } catch {
    return undefined;
  }
};

before(async () => {
  await stage.start({
    more: async () => {
      await stage.nocobase.call(`pm:enable?filterByTk=${PLUGIN}`, {});
      await eventually('the plugin is there', async () => (await direct('/api/applications:list')).status === 200);
      await stage.nocobase.call('applications:create', { name: SUB, displayName: SUB, options: { autoStart: true } });
      await eventually('the application is there', async () => nameOf(await direct('/api/auth:check', { 'x-app': SUB })));
      await stage.nocobase.call('users:update?filterByTk=1', { nickname: 'root of main' });
      const renamed = await fetch(`${stage.nocobase.base}/api/users:update?filterByTk=1`, {
        method: 'POST',
        headers: { authorization: `Bearer ${stage.nocobase.mint(1, 'root')}`, 'content-type': 'application/json', 'x-app': SUB },
        body: JSON.stringify({ nickname: `root of ${SUB}` }),
      });
      assert.equal(renamed.status, 200, await renamed.text());
    },
  });
}, { timeout: 480_000 });
after(() => stage.stop(), { timeout: 60_000 });
afterEach(async (t) => {
  if (t.error) await stage.pictures(t.name);
});

/** The application as an administrator creates it. */
function application() {
  const sub = Object.create(stage.nocobase);
  sub.call = async (path, body) => {
    const response = await fetch(`${stage.nocobase.base}/api/${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${stage.nocobase.mint(1, 'root')}`, 'content-type': 'application/json', 'x-app': SUB },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    assert.equal(response.status, 200, `${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text).data : undefined;
  };
  return sub;
}

/** Ways to name the application: path suffix, headers, another path. */
const WAYS = [
  ['', { 'X-App': SUB }],
  ['', { 'x-app': SUB }],
  ['', { X_App: SUB }],
  ['', { 'x.app': SUB }],
  ['', { 'X-App': ['main', SUB] }],
  [`?__appName=${SUB}`, {}],
  [`?a=b&__appName=${SUB}`, {}],
  [`?%5F%5FappName=${SUB}`, {}],
  [`?__appName=main&__appName=${SUB}`, {}],
  [`?__appName[]=${SUB}`, {}],
  [`?__appName[0]=${SUB}`, {}],
  [`?[__appName]=${SUB}`, {}],
  [`?__appName=${SUB}`, { 'X-App': 'main' }],
  ['', { 'X-Hostname': 'sub1.example.com' }],
];
const PATHS = [`/api/__app/${SUB}/auth:check`, `/api/%5F%5Fapp/${SUB}/auth:check`, '/api/__app/main/auth:check'];

test('the plugin takes an application from header, query and path', async () => {
  assert.equal(nameOf(await direct('/api/auth:check')), 'root of main');
  const reached = [];
  for (const [query, headers] of WAYS) {
    const flat = Object.fromEntries(Object.entries(headers).map(([n, v]) => [n, [v].flat().join(', ')]));
    if (nameOf(await direct(`/api/auth:check${query}`, flat)) === `root of ${SUB}`) reached.push(query || Object.keys(headers)[0]);
  }
  for (const path of PATHS) {
    if (nameOf(await direct(path)) === `root of ${SUB}`) reached.push(path);
  }
  console.log(`past the gate, ${SUB} is reached by: ${reached.join('  ')}`);
  for (const way of ['X-App', `?__appName=${SUB}`, PATHS[0]]) assert.ok(reached.includes(way), way);
});

test('R44: no request reaches another application through the gate', async () => {
  const client = await stage.client('zhangsan', 'desktop');
  const { page, context } = client;
  await enter(client, { consent: true });
  const phantom = await page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN'));
  const cookie = (await context.cookies()).map((c) => `${c.name}=${c.value}`).join('; ');
  const member = { cookie, authorization: `Bearer ${phantom}` };
  const key = { authorization: `Bearer ${stage.nocobase.mint(1, 'root')}` };

  const own = await stage.ask(stage.gate, '/api/auth:check', { headers: member });
  const name = JSON.parse(own.body).data.nickname;
  assert.equal(own.status, 200);
  const ours = await stage.ask(stage.gate, '/api/auth:check?__appName=main', { headers: { ...member, 'X-App': 'main' } });
  assert.deepEqual([ours.status, JSON.parse(ours.body).data.nickname], [200, name]);

  for (const who of [member, key, {}]) {
    for (const [query, headers] of WAYS) {
      for (const method of ['GET', 'POST']) {
        const response = await stage.ask(stage.gate, `/api/auth:check${query}`, { method, headers: { ...who, ...headers } });
        assert.equal(response.status, 403, `${query} ${JSON.stringify(headers)}: ${response.body}`);
        assert.match(response.body, /OTHER_APPLICATION/);
      }
    }
    for (const path of [...PATHS, `/files/${SUB}/main/attachments/1.png`]) {
      const response = await stage.ask(stage.gate, path, { headers: who });
      assert.equal(response.status, 403, `${path}: ${response.body}`);
    }
  }

  // In the browser: the page of another application is the gate's own, and its WebSocket is refused.
  await page.goto(`${stage.origin}/apps/${SUB}/admin`);
  await page.getByText('This application is not open here').waitFor();
  await stage.picture(page, 'other-application');
  await page.goto(`${stage.origin}/admin`);
  const opened = await page.evaluate((sub) => new Promise((resolve) => {
    const socket = new WebSocket(`ws://${location.host}/ws?__appName=${sub}`);
    socket.onopen = () => resolve('open');
    socket.onclose = (e) => resolve(`closed ${e.code}`);
  }), SUB);
  assert.equal(opened, 'closed 1006');
  assert.equal(await page.evaluate(() => new Promise((resolve) => {
    const socket = new WebSocket(`ws://${location.host}/ws`);
    socket.onopen = () => resolve('open');
    socket.onclose = (e) => resolve(`closed ${e.code}`);
  })), 'open');
  await client.close();
});

test('several applications at one gate: accounts, sessions and tokens of each, and none of another (R44)', async () => {
  const sub = application();
  const service = await sub.serviceUser('gate_of_sub1');
  await stage.gate.stop();
  stage.gate = await stage.startGate('several', {
    access: ['api_keys = false'],
    nocobase: ['auto_create_user = true', `apps = [{ name = "${SUB}", service_user = ${service}, auto_create_user = true }]`],
  });

  const client = await stage.client('wangwu', 'desktop');
  const { page, context } = client;
  const failed = [];
  page.on('response', (response) => {
    if (response.status() >= 400) failed.push(`${response.status()} ${response.url()}`);
  });
  const checked = page.waitForResponse((response) =>
    response.url().includes('/api/auth:check') && response.request().headers()['x-app'] === SUB, { timeout: 120_000 });
  await page.goto(`${stage.origin}/apps/${SUB}/`);
  await page.getByRole('button', { name: 'Allow' }).click();
  const own = await (await checked).json();
  await page.waitForURL(`**/apps/${SUB}/admin**`);
  assert.equal((await sub.call(`users:list?filter=${encodeURIComponent(JSON.stringify({ id: own.data.id }))}`)).length, 1);
  const bindings = async (nocobase) => (await nocobase.call('usersAuthenticators:list?filter=' +
    encodeURIComponent(JSON.stringify({ uuid: 'WangWu' })))).length;
  assert.deepEqual([await bindings(sub), await bindings(stage.nocobase)], [1, 0]);
  const phantoms = () => page.evaluate((name) =>
    [`NOCOBASE_${name}_TOKEN`, 'NOCOBASE_TOKEN'].map((key) => localStorage.getItem(key)), SUB.toUpperCase());
  const [ofSub, none] = await phantoms();
  assert.match(ofSub, /^wcg_/);
  assert.equal(none, null);
  await page.waitForLoadState('networkidle');
  await stage.picture(page, 'several-applications');
  assert.deepEqual(failed, [], 'NocoBase\'s own client misses nothing');
  const names = () => context.cookies().then((all) => all.map((c) => c.name).filter((n) => n.startsWith('wecom_gate') && !n.includes('lang') && !n.includes('flow')));
  assert.deepEqual(await names().then((all) => all.filter((n) => !n.endsWith('tries'))), [`wecom_gate_app.${SUB}`]);

  // The main application needs its own sign-in; both work side by side.
  await page.goto(`${stage.origin}/admin`);
  await page.getByText('Orders 订单').first().waitFor();
  const [, ofMain] = await phantoms();
  assert.match(ofMain, /^wcg_/);
  const cookie = (await context.cookies()).map((c) => `${c.name}=${c.value}`).join('; ');
  const ask = (path, token, headers = {}) =>
    stage.ask(stage.gate, path, { headers: { cookie, ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers } });
  assert.equal(nameOf(await ask('/api/auth:check', ofSub, { 'X-App': SUB })), own.data.nickname);
  assert.equal((await ask('/api/auth:check', ofMain)).status, 200);
  const real = stage.nocobase.mint(1);
  for (const [token, headers, query] of [
    [ofMain, { 'X-App': SUB }, ''], [ofMain, {}, `?__appName=${SUB}`], [ofSub, {}, ''], [ofSub, { 'X-App': 'main' }, ''],
    [real, { 'X-App': SUB }, ''], [real, {}, ''], [stage.nocobase.mint(1, 'root'), { 'X-App': SUB }, ''],
  ]) {
    const response = await ask(`/api/auth:check${query}`, token, headers);
    assert.equal(response.status, 401, `${JSON.stringify(headers)}${query}: ${response.body}`);
  }
  for (const [headers, query] of [
    [{ 'X-App': SUB }, '?__appName=main'], [{ 'X-App': 'main' }, `?__appName=${SUB}`], [{ 'X-App': 'nosuch' }, ''],
    [{ 'X-App': [SUB, 'main'] }, ''], [{}, `?__appName=${SUB}&__appName=main`], [{ 'X-App': SUB, 'X-Hostname': 'x.example' }, ''],
  ]) {
    for (const token of [ofMain, ofSub, undefined]) {
      const response = await ask(`/api/auth:check${query}`, token, headers);
      assert.equal(response.status, 403, `${JSON.stringify(headers)}${query}: ${response.body}`);
    }
  }
  await page.goto(`${stage.origin}/apps/nosuch/admin`);
  await page.getByText('This application is not open here').waitFor();

  // Signing out of one signs out of both.
  await page.goto(`${stage.origin}/wecom-gate/logout`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByText('You are signed out').waitFor();
  for (const [token, headers] of [[ofMain, {}], [ofSub, { 'X-App': SUB }]]) {
    assert.equal((await ask('/api/auth:check', token, headers)).status, 401);
  }
  await client.close();
});

test('an application at a host name of its own works there, and only there (R4, R37, R44)', async () => {
  const sub = application();
  const host = 'crm.test';
  const own = `http://${host}:${new URL(stage.origin).port}`;
  // Its own app in WeCom's console, with that host name as its trusted domain.
  const data = await stage.simulate('GET', 'data');
  const { apps } = data.companies.find((c) => c.corp_id === CORP);
  const [ofMain, ofOwn] = [1000002, 1000003].map((id) => apps.find((app) => app.agent_id === id));
  ofOwn.gate = own;
  await stage.simulate('PUT', 'data', data);
  const service = await sub.serviceUser('gate_at_host');
  await stage.gate.stop();
  stage.gate = await stage.startGate('host', {
    access: ['api_keys = false'],
    others: [`${CORP}/1000003/Sales/auto`],
    nocobase: [
      'auto_create_user = true',
      `apps = [{ name = "${SUB}", host = "${host}", wecom = ["sales"], service_user = ${service}, auto_create_user = true }]`,
    ],
  });
  const client = await stage.client('zhangsan', 'desktop');
  const { page, context } = client;
  const failed = [];
  page.on('response', (response) => {
    if (response.status() >= 400) failed.push(`${response.status()} ${response.url()}`);
  });
  const checked = page.waitForResponse((response) => response.url().startsWith(`${own}/api/auth:check`) && response.ok(), { timeout: 120_000 });
  // Without consent: WeCom gives this app the phone number.
  await page.goto(`${own}/`);
  const { data: user } = await (await checked).json();
  await page.waitForURL(`${own}/admin**`);
  const bindings = await sub.call('usersAuthenticators:list?filter=' + encodeURIComponent(JSON.stringify({ uuid: 'zhangsan', authenticator: 'sales' })));
  assert.deepEqual(bindings.map((row) => row.userId), [user.id]);
  await page.waitForLoadState('networkidle');
  assert.match(await page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN')), /^wcg_/);
  await stage.picture(page, 'application-at-host');
  assert.deepEqual(failed, [], 'NocoBase\'s own client misses nothing');
  // Its WebSocket is authenticated by what the page sends itself.
  const authorized = await page.evaluate(() => new Promise((resolve) => {
    const socket = new WebSocket(`ws://${location.host}/ws`);
    socket.onmessage = ({ data }) => { if (data.includes('authorized')) resolve('authorized'); };
    socket.onopen = () => setTimeout(() => socket.send(JSON.stringify({
      type: 'auth:token', payload: { token: localStorage.getItem('NOCOBASE_TOKEN'), authenticator: null },
    })), 200);
    socket.onclose = (e) => resolve(`closed ${e.code}`);
  }));
  assert.equal(authorized, 'authorized');
  const cookies = (await context.cookies(own)).filter((c) => c.name === `wecom_gate_app.${SUB}`);
  assert.deepEqual(cookies.map((c) => [c.domain, c.httpOnly]), [[host, true]]);
  const phantom = await page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN'));
  const member = { cookie: `${cookies[0].name}=${cookies[0].value}`, authorization: `Bearer ${phantom}` };
  const there = new URL(own).host;
  const name = nameOf(await stage.ask(stage.gate, '/api/auth:check', { headers: { ...member, host: there } }));
  assert.equal(name, user.nickname);
  for (const [headers, query, status] of [
    [{}, '', 401], [{ 'X-App': SUB }, '', 403], [{ host: there, 'X-App': 'main' }, '', 403],
    [{ host: there }, '?__appName=main', 403], [{ host: there, 'X-Hostname': '127.0.0.1' }, '', 403],
  ]) {
    const response = await stage.ask(stage.gate, `/api/auth:check${query}`, { headers: { ...member, ...headers } });
    assert.equal(response.status, status, `${JSON.stringify(headers)}${query}: ${response.body}`);
  }
  // At the main application's host name it is refused.
  await page.goto(`${stage.origin}/apps/${SUB}/admin`);
  await page.getByText('This application is not open here').waitFor();
  // Signed out with NocoBase's own menu: the page does not sign in again.
  await page.goto(`${own}/wecom-gate/logout`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByText('You are signed out').waitFor();
  assert.equal((await stage.ask(stage.gate, '/api/auth:check', { headers: { ...member, host: there } })).status, 401);
  // The gate's pages have name and picture of the app in WeCom that is in charge of the host name.
  assert.notEqual(ofMain.name, ofOwn.name);
  for (const [origin, app] of [[own, ofOwn], [stage.origin, ofMain]]) {
    await eventually(`the card of ${app.name}`, async () => {
      await page.goto(`${origin}/wecom-gate/sign-in?out=1`);
      const brand = page.locator('.brand');
      return await brand.getByText(app.name, { exact: true }).isVisible()
        && await brand.locator('img').evaluate((picture) => picture.complete && picture.naturalWidth > 0);
    });
    await stage.picture(page, `application-card-${app.agent_id}`);
  }
  await client.close();
});

test('R44: a rule of the plugin about host names chooses no other application', async () => {
  // A session first: afterwards NocoBase takes everything under the gate's host name for the other application.
  const client = await stage.client('lisi', 'desktop');
  const { page, context } = client;
  await enter(client, { consent: true });
  const phantom = await page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN'));
  const cookie = (await context.cookies()).map((c) => `${c.name}=${c.value}`).join('; ');
  const check = async () => {
    const response = await stage.ask(stage.gate, '/api/auth:check', { headers: { cookie, authorization: `Bearer ${phantom}` } });
    return [response.status, nameOf(response)];
  };
  const before = await check();
  assert.equal(before[0], 200);
  const host = new URL(stage.origin).hostname;
  await stage.nocobase.call(`applications:update?filterByTk=${SUB}`, { cname: host });
  const past = await new Promise((resolve, reject) => {
    const headers = { host, authorization: `Bearer ${stage.nocobase.mint(1, 'root')}` };
    http.get({ host: '127.0.0.1', port: stage.nocobase.port, path: '/api/auth:check', headers }, (response) => {
      let body = '';
      response.on('data', (piece) => (body += piece));
      response.on('end', () => resolve({ status: response.statusCode, body }));
    }).on('error', reject);
  });
  assert.equal(nameOf(past), `root of ${SUB}`, 'past the gate the host name chooses it');
  assert.deepEqual(await check(), before, 'through the gate it does not');
  await client.close();
});
