// `wecom-gate check` against the real NocoBase: which missing rights it finds, and that it leaves no test data behind.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { GATE, stage } from './stage.mjs';

/** The report of `check` for this file. */
function check(file, ...more) {
  return new Promise((resolve, reject) => {
    execFile(GATE, ['check', '--json', '--conf', file, ...more], (error, stdout, stderr) => {
      try {
        const report = JSON.parse(stdout);
        const step = (name) => report.steps.find((s) => s.name === name);
        resolve({ code: error?.code ?? 0, report, step, failed: report.steps.filter((s) => s.outcome === 'failed') });
      } catch (e) {
        reject(new Error(`${e.message}: ${stdout}${stderr}`));
      }
    });
  });
}

/** How many rows there are in every table that the gate can write. */
async function rows() {
  const tables = ['users', 'usersAuthenticators', 'issuedTokens', 'tokenBlacklist'];
  return Promise.all(tables.map(async (t) => [t, (await stage.nocobase.call(`${t}:list?paginate=false`)).length]));
}

/** The gate's configuration file with another service account. */
function fileFor(user, name) {
  const file = stage.gate.file.replace(/\.toml$/, `-${name}.toml`);
  const text = readFileSync(stage.gate.file, 'utf8');
  writeFileSync(file, text.replace(/^service_user = .*$/m, `service_user = ${user}`));
  return file;
}

describe('check against the real NocoBase', () => {
  test('check passes with the smallest role, and changes nothing', async () => {
    const before = await rows();
    const { code, failed, step } = await check(stage.gate.file, '--member', 'lisi');
    assert.deepEqual([failed, code], [[], 0]);
    for (const name of ['origin', 'wecom_callback_domain', 'nocobase_secret', 'nocobase_service', 'nocobase_rights', 'clock', 'member']) {
      assert.equal(step(name).outcome, 'ok', JSON.stringify(step(name)));
    }
    assert.match(step('nocobase_reachable').detail, /NocoBase 2\.2\.15/);
    assert.deepEqual(await rows(), before);
  });

  const missing = [
    ['users', 'view'], ['users', 'create'],
    ['usersAuthenticators', 'view'], ['usersAuthenticators', 'create'],
    ['issuedTokens', 'view'], ['issuedTokens', 'create'],
  ];
  for (const [table, action] of missing) {
    test(`check finds that the service account may not ${action} ${table}`, async () => {
      const name = `without_${action}_${table.toLowerCase()}`;
      const user = await stage.nocobase.serviceUser(name, (rights) => delete rights[table][action]);
      const before = await rows();
      const { code, failed } = await check(fileFor(user, name));
      assert.equal(code, 1);
      assert.deepEqual(failed.map((s) => s.name), ['nocobase_rights']);
      assert.deepEqual(failed[0].findings.map((f) => f.about), [`${table}:${action}`]);
      assert.deepEqual(await rows(), before);
    });
  }

  test('check finds a field that the service account may not see', async () => {
    const user = await stage.nocobase.serviceUser('without_phone', (rights) => {
      rights.users.view = rights.users.view.filter((f) => f !== 'phone');
    });
    const { failed } = await check(fileFor(user, 'without_phone'));
    assert.deepEqual(failed.map((s) => s.name), ['nocobase_rights']);
    assert.match(failed[0].findings[0].what, /fields phone/);
  });

  test('check warns of the root user as the service account', async () => {
    const { code, step } = await check(fileFor(1, 'root'));
    assert.deepEqual([code, step('nocobase_rights').outcome], [0, 'warning']);
    assert.match(step('nocobase_rights').findings[0].what, /everything/);
  });

  test('check finds a service user that is not there', async () => {
    const { failed } = await check(fileFor(999_999, 'nobody'));
    assert.deepEqual(failed.map((s) => s.name), ['nocobase_service']);
    assert.match(failed[0].findings[0].what, /no such user/);
  });
});
