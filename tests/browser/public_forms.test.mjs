// "@public-forms" with the real plugin: a visitor without a session fills in a form, with a file, and has no other access.
// `node --test --test-reporter=spec public_forms.test.mjs`; `make test-browser` runs it too.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { enter } from './helpers.mjs';
import { stage } from './stage.mjs';

const PLUGIN = 'public-forms';
const TABLE = 'applicants';
const RULES = ['public = ["@public-forms", "@mcp"]'];
const VISITOR = { userAgent: undefined };

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const forms = {};

/** Enables the plugin; NocoBase restarts with it. */
async function enable() {
  await stage.nocobase.call(`pm:enable?filterByTk=${PLUGIN}`, {}).catch(() => {});
  const until = Date.now() + 180_000;
  for (;;) {
    if (await stage.nocobase.call('publicForms:list').then(() => true, () => false)) return;
    assert.ok(Date.now() < until, 'the plugin does not come up');
    await pause(500);
  }
}

/** Creates a table with a text field and a file field. */
function table() {
  return stage.nocobase.call('collections:create', {
    name: TABLE, title: 'Applicants', template: 'general', autoGenId: true,
    fields: [
      {
        name: 'id', type: 'bigInt', autoIncrement: true, primaryKey: true, allowNull: false, interface: 'id',
        uiSchema: { type: 'number', title: 'ID', 'x-component': 'InputNumber', 'x-read-pretty': true },
      },
      {
        name: 'fullname', type: 'string', interface: 'input',
        uiSchema: { type: 'string', title: 'Full name', 'x-component': 'Input' },
      },
      {
        name: 'papers', type: 'belongsToMany', interface: 'attachment', target: 'attachments', through: 'applicants_papers',
        foreignKey: 'applicantId', otherKey: 'attachmentId', sourceKey: 'id', targetKey: 'id',
        uiSchema: { type: 'array', title: 'Papers', 'x-component': 'Upload.Attachment' },
      },
    ],
  });
}

/** The models of NocoBase's pages each need an id. */
function withIds(model, path = model.uid) {
  const below = Object.entries(model.subModels ?? {}).map(([name, models]) => [
    name,
    Array.isArray(models) ? models.map((m, i) => withIds(m, `${path}_${name}${i}`)) : withIds(models, `${path}_${name}`),
  ]);
  return { uid: path, ...model, ...(below.length && { subModels: Object.fromEntries(below) }) };
}

/** A form as an administrator makes it: with both fields, and a text after submission. */
async function form(title, more = {}) {
  const made = await stage.nocobase.call('publicForms:create', {
    title, collection: `main:${TABLE}`, type: 'form', version: 'v2', enabled: true, ...more,
  });
  const init = (fieldPath) => ({ init: { dataSourceKey: 'main', collectionName: TABLE, ...(fieldPath && { fieldPath }) } });
  const field = (name, use) => ({
    use: 'FormItemModel',
    stepParams: { fieldSettings: init(name) },
    subModels: { field: { use, stepParams: { fieldSettings: init(name) } } },
  });
  const tab = (name, items) => ({
    use: 'ChildPageTabModel',
    stepParams: { pageTabSettings: { tab: { title: name } } },
    subModels: { grid: { use: 'BlockGridModel', subModels: { items } } },
  });
  const thanks = { content: '# Thank you' };
  await stage.nocobase.call('flowModels:save', withIds({
    uid: made.key,
    use: 'RouteModel',
    subModels: {
      page: {
        use: 'PublicFormPageModel',
        props: { title, displayTitle: false, enableTabs: false, showFlowSettings: false },
        stepParams: { pageSettings: { general: { displayTitle: false, enableTabs: false } } },
        subModels: {
          tabs: [
            tab('Form', [{
              use: 'CreateFormModel',
              stepParams: { resourceSettings: init() },
              subModels: {
                grid: {
                  use: 'FormGridModel',
                  subModels: { items: [field('fullname', 'InputFieldModel'), field('papers', 'UploadFieldModel')] },
                },
                actions: [{
                  use: 'PublicFormSubmitActionModel',
                  stepParams: { submitSettings: { saveResource: { requestConfig: { url: `${TABLE}:publicSubmit` } } } },
                }],
              },
            }]),
            tab('Afterwards', [{
              use: 'MarkdownBlockModel', props: thanks, stepParams: { markdownBlockSettings: { editMarkdown: thanks } },
            }]),
          ],
        },
      },
    },
  }));
  return made.key;
}

before(async () => {
  await stage.start({
    more: async () => {
      await enable();
      await table();
      forms.open = await form('Apply here');
      forms.locked = await form('Apply with a password', { password: 'open sesame' });
      forms.closed = await form('No longer', { enabled: false });
    },
  });
  await stage.gate.stop();
  stage.gate = await stage.startGate('forms', { access: RULES });
}, { timeout: 480_000 });
after(() => stage.stop(), { timeout: 60_000 });
afterEach(async (t) => {
  if (t.error) await stage.pictures(t.name);
});

/** The records of the table under this name, with their files. */
function records(name) {
  const filter = encodeURIComponent(JSON.stringify({ fullname: name }));
  return stage.nocobase.call(`${TABLE}:list?filter=${filter}&appends=papers`);
}

/** Fills in the form and submits it. */
async function fill(page, name, content) {
  // The dialog that asked for a password has a text box too, and stays a moment longer than the form needs.
  const field = page.locator('input[type=text]').first();
  await field.fill(name);
  const uploaded = page.waitForResponse((r) => r.url().includes('/api/attachments:create'), { timeout: 240_000 });
  await page.locator('input[type=file]').first().setInputFiles({
    name: `${name}.txt`, mimeType: 'text/plain', buffer: Buffer.from(content),
  });
  assert.equal((await uploaded).status(), 200);
  assert.equal(await field.inputValue(), name, 'what was typed is still there');
  await page.getByRole('button', { name: 'Submit' }).click();
  await page.getByText('Thank you').waitFor();
}

for (const [name, prefix, key] of [
  ['in the page', '', 'open'],
  ['in the page of the modern client', '/v', 'open'],
  ['behind a password', '', 'locked'],
]) {
  test(`a visitor without a session fills in a form with a file, ${name}`, async () => {
    const { page, context, recorder, close } = await stage.client(null, 'desktop', VISITOR);
    const refused = [];
    page.on('response', (r) => {
      if (r.status() >= 400) refused.push(`${r.request().method()} ${new URL(r.url()).pathname}`);
    });
    await page.goto(`${stage.origin}${prefix}/public-forms/${forms[key]}`);
    if (key === 'locked') {
      const field = page.locator('input[type=password]');
      await field.fill('wrong');
      await page.getByRole('button', { name: 'OK' }).click();
      await page.getByText('Incorrect password').waitFor();
      assert.equal(await page.getByText('Full name').count(), 0, 'the form is not there yet');
      await field.fill('open sesame');
      await page.getByRole('button', { name: 'OK' }).click();
    }
    const who = `Nina Nobody ${prefix}${key}`;
    await fill(page, who, `the papers of ${who}`);
    await stage.picture(page, `public-form-${key}${prefix.replace('/', '-')}`);
    assert.deepEqual(recorder.documents().map((d) => d.url), [`${stage.origin}${prefix}/public-forms/${forms[key]}`]);

    const [record, ...more] = await records(who);
    assert.equal(more.length, 0);
    assert.equal(record.papers.length, 1);
    const file = await fetch(stage.nocobase.base + record.papers[0].url, {
      headers: { authorization: `Bearer ${stage.nocobase.mint(1, 'root')}`, cookie: `nb_auth_token_main=${stage.nocobase.mint(1)}` },
    });
    assert.equal(await file.text(), `the papers of ${who}`);

    // NocoBase's client requests more than a form needs; it works without.
    const known = /^(POST \/api\/ai|GET \/api\/(auth:check|app:getInfo)|GET \/v\/favicon_no_exist|GET \/api\/publicForms:getMeta)/;
    assert.deepEqual(refused.filter((r) => !known.test(r)), []);
    // No session was created, and nothing else is accessible to this browser.
    const cookies = (await context.cookies()).map((c) => c.name);
    assert.deepEqual(cookies.filter((c) => c.startsWith('wecom_gate')), []);
    const statuses = await page.evaluate((paths) => Promise.all(paths.map(async ([method, path]) => {
      const headers = { 'X-Form-Token': localStorage.getItem('NOCOBASE_FORM_TOKEN'), 'Content-Type': 'application/json' };
      return [path, (await fetch(path, { method, headers, body: method === 'POST' ? '{}' : undefined })).status];
    })), [
      ['GET', `/api/${TABLE}:list`], ['GET', '/api/users:list'], ['GET', '/api/attachments:list'],
      ['POST', `/api/${TABLE}:update?filterByTk=1`], ['POST', `/api/${TABLE}:destroy?filterByTk=1`],
      ['POST', '/api/users:create'], ['POST', '/api/roles:create'], ['POST', '/api/issuedTokens:create'],
      ['POST', '/api/usersAuthenticators:create'], ['POST', '/api/users:publicSubmit'],
    ]);
    for (const [path, status] of statuses) assert.ok([401, 403].includes(status), `${path}: ${status}`);
    await close();
  });
}

test('a form that is closed, or was never there, shows no form', async () => {
  for (const key of [forms.closed, 'nosuchform']) {
    const { page, close } = await stage.client(null, 'desktop', VISITOR);
    const meta = page.waitForResponse((r) => r.url().includes('/api/publicForms:getMeta'), { timeout: 240_000 });
    await page.goto(`${stage.origin}/public-forms/${key}`);
    await meta;
    await page.getByText(/Powered by|not found|not enabled|closed/i).first().waitFor();
    assert.equal(await page.getByRole('button', { name: 'Submit' }).count(), 0, key);
    await close();
  }
});

test('a member fills in the form too, in their own session', async () => {
  const client = await stage.client('zhangsan', 'desktop');
  await enter(client, { consent: true });
  await client.page.goto(`${stage.origin}/public-forms/${forms.open}`);
  await fill(client.page, 'Zhang San', 'of a member');
  assert.equal((await records('Zhang San')).length, 1);
  await client.close();
});

test('a browser with the token of a session that has ended fills it in as well', async () => {
  const { page, close } = await stage.client(null, 'desktop', VISITOR);
  await page.goto(`${stage.origin}/favicon/favicon.ico`);
  await page.evaluate(() => localStorage.setItem('NOCOBASE_TOKEN', 'the-phantom-of-yesterday'));
  await page.goto(`${stage.origin}/public-forms/${forms.open}`);
  await fill(page, 'Lena Late', 'late');
  assert.equal((await records('Lena Late')).length, 1);
  await close();
});

/** A request as a program sends it. */
const send = (method, path, headers = {}, body) =>
  stage.ask(stage.gate, path, { method, body, headers: { ...(body && { 'content-type': 'application/json' }), ...headers } });

test('R2: with the keyword, an anonymous client gets what forms need from NocoBase, and nothing else', async () => {
  for (const [method, path] of [
    ['GET', '/admin'], ['GET', '/'], ['GET', '/v/admin'], ['GET', '/signin'], ['GET', '/m'], ['GET', '/ws'],
    ['GET', '/api/publicForms:list'], ['POST', '/api/publicForms:update'], ['POST', '/api/publicForms:destroy?filterByTk=1'],
    ['GET', '/api/users:list'], ['GET', `/api/${TABLE}:list`], ['GET', `/api/${TABLE}:get/1`], ['POST', `/api/${TABLE}:update`],
    ['GET', `/api/${TABLE}:create`], ['POST', '/api/auth:signUp'], ['POST', '/api/users/1/roles:create'], ['POST', '/api/smsOTP:publicCreate'],
    ['POST', `/api/${TABLE}%3Acreate/..%2Fusers:list`], ['POST', `/api/${TABLE};:create/x`], ['POST', '/api//users:create'],
    ['GET', '/public-forms/../api/users:list'], ['GET', '/public-forms/%2e%2e/admin'], ['GET', '/static/..;/api/users:list'],
    ['HEAD', `/public-forms/${forms.open}`], ['GET', '/public-forms'], ['GET', '/api/mcp'], ['POST', '/api/mcp'],
    ['GET', '/files/main/main/attachments/1.txt'], ['GET', '/storage/uploads/x.txt'],
  ]) {
    const { status, headers } = await send(method, path);
    assert.ok([302, 400, 401, 403].includes(status), `${method} ${path}: ${status}`);
    assert.ok(headers['x-request-id'], `${method} ${path}: it is the gate that refuses`);
    assert.ok(status !== 302 || !headers.location.startsWith('/admin'), headers.location);
  }
  assert.equal((await send('GET', '/api/.well-known/oauth-protected-resource')).status, 200);
});

test('R2: without a form’s token NocoBase creates nothing, whatever else the client sends', async () => {
  const count = async () => (await stage.nocobase.call('users:list?pageSize=200')).length;
  const before = [await count(), (await stage.nocobase.call(`${TABLE}:list?pageSize=200`)).length];
  const meta = JSON.parse((await send('GET', `/api/publicForms:getMeta/${forms.open}`)).body);
  const token = meta.data.token;
  const ended = `${token.slice(0, -4)}AAAA`;
  const body = JSON.stringify({ nickname: 'Mallory', username: 'mallory', fullname: 'Mallory' });
  for (const [what, path, headers] of [
    ['nothing', `/api/${TABLE}:create`, {}],
    ['a forged token', `/api/${TABLE}:create`, { 'X-Form-Token': ended }],
    ['an empty token', `/api/${TABLE}:create`, { 'X-Form-Token': '' }],
    ['the token of a form for another table', '/api/users:create', { 'X-Form-Token': token }],
    ['the token of a form for another table, submitted', '/api/users:publicSubmit', { 'X-Form-Token': token }],
    ['the form’s token as NocoBase’s', `/api/${TABLE}:create`, { authorization: `Bearer ${token}` }],
    ['nothing, at the sessions', '/api/issuedTokens:create', {}],
    ['nothing, at the bindings', '/api/usersAuthenticators:create', {}],
    ['nothing, at the forms', '/api/publicForms:create', {}],
  ]) {
    const { status, body: response } = await send('POST', path, headers, body);
    assert.ok([401, 403].includes(status), `${what}: ${status} ${response}`);
  }
  // A form that has been disabled meanwhile accepts nothing with an earlier token.
  await stage.nocobase.call(`publicForms:update?filterByTk=${forms.open}`, { enabled: false });
  const late = await send('POST', `/api/${TABLE}:publicSubmit`, { 'X-Form-Token': token }, body);
  assert.equal(late.status, 401, late.body);
  await stage.nocobase.call(`publicForms:update?filterByTk=${forms.open}`, { enabled: true });
  assert.deepEqual([await count(), (await stage.nocobase.call(`${TABLE}:list?pageSize=200`)).length], before);
  // The older kind of form is submitted this way.
  const good = await send('POST', `/api/${TABLE}:publicSubmit`, { 'X-Form-Token': token }, body);
  assert.equal(good.status, 200, good.body);
  assert.equal((await records('Mallory')).length, 1);
});

test('R2: the keyword lets no key pass that does not pass without it', async () => {
  await stage.gate.stop();
  stage.gate = await stage.startGate('forms-without-keys', { access: [...RULES, 'api_keys = false'] });
  const key = stage.nocobase.mint(1, 'root');
  const body = JSON.stringify({ fullname: 'by a key' });
  for (const [path, headers] of [
    [`/api/${TABLE}:create`, { authorization: `Bearer ${key}` }],
    [`/api/${TABLE}:create`, { authorization: [`Bearer ${key}`, `Bearer ${key}`] }],
    [`/api/${TABLE}:create`, { authorization: key }],
    [`/api/${TABLE}:create?token=${key}`, {}],
    [`/api/${TABLE}:create?a=b&%74oken=${key}`, {}],
    [`/api/${TABLE}:create?token=${stage.nocobase.mint(1)}`, {}],
  ]) {
    const { status, body: response } = await send('POST', path, headers, body);
    assert.ok([401, 403].includes(status), `${path.slice(0, 40)}: ${status} ${response}`);
  }
  assert.equal((await records('by a key')).length, 0);
  await stage.gate.stop();
  stage.gate = await stage.startGate('forms-with-keys', { access: RULES });
  const response = await send('POST', `/api/${TABLE}:create`, { authorization: `Bearer ${key}` }, body);
  assert.equal(response.status, 200, 'where keys pass, they pass here too');
});
