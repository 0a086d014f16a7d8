// Pages of other sites, and of this site's other hosts and ports: they never act as the member, whatever requests they cause in
// the member's browser. NocoBase executes actions by GET.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Attacker, Naive, WAYS } from './attacker.mjs';
import { call } from './member.mjs';
import { stage } from './stage.mjs';

/**
 * The gate's host, and the attackers'. Browsers send `SameSite=Lax` cookies with requests from sibling hosts as from the own
 * host. They send `Sec-Fetch-Site` only to trustworthy origins: `127.0.0.1` is one, a name with plain HTTP is not and stands for
 * an old browser.
 */
const PLACES = {
  'by address': { gate: '127.0.0.1', stranger: 'localhost', neighbour: '127.0.0.1', marks: true },
  'by name': { gate: 'nocobase.company.test', stranger: 'evil.test', neighbour: 'wiki.company.test', marks: false },
};

describe('pages of other sites', () => {
  let attacker;
  let cookie;
  let targets;
  before(async () => {
    attacker = await Attacker.start();
    // A user with the rights to do it; otherwise the test would show nothing.
    await stage.nocobase.call('users:create', { nickname: 'Boss', phone: '13800000001', roles: ['admin'] });
    const client = await stage.client('zhangsan');
    await client.page.goto(`${stage.origin}/wecom-gate/login?rd=/global.css`);
    await client.page.getByRole('button', { name: 'Allow' }).click();
    await client.page.waitForURL('**/global.css');
    cookie = (await client.context.cookies(stage.origin)).find((c) => c.name === 'wecom_gate');
    await client.close();
    targets = await victims();
  });
  after(() => attacker.stop());

  /** The member's browser, signed in at this host. */
  async function member(host, { name, value } = cookie) {
    const client = await stage.client(null, 'desktop', { userAgent: undefined });
    // The page's own scripts are slow to load and not part of this test: the gate's script runs first.
    await client.page.route('**/assets/**', (route) => route.abort());
    await client.context.addCookies([{ name, value, domain: host, path: '/', httpOnly: true, sameSite: 'Lax' }]);
    return client;
  }

  /** The session cookie of a sign-in at this gate: another gate's is invalid even with the same keys (R37). */
  async function cookieOf(base) {
    // WeCom redirects codes to the app's trusted domain alone.
    const trust = async (gate) => {
      const data = await stage.simulate('GET', 'data');
      const apps = data.companies.flatMap((company) => company.apps);
      apps.find((app) => app.agent_id === 1000002 && app.gate === (gate === base ? stage.origin : base)).gate = gate;
      await stage.simulate('PUT', 'data', data);
    };
    await trust(base);
    const client = await stage.client('zhangsan');
    await client.page.goto(`${base}/wecom-gate/login?rd=/global.css`);
    // With the fragment at the end of WeCom's URL.
    await client.page.waitForURL(/\/global\.css/);
    const all = await client.context.cookies(base);
    await client.close();
    await trust(stage.origin);
    return all.find((c) => c.name === 'wecom_gate');
  }

  /** A user for each way, who is deleted if it works: `[[way, id]]`. */
  async function victims() {
    const all = [];
    for (const way of WAYS) {
      all.push([way, (await stage.nocobase.call('users:create', { nickname: `Victim of ${way}` })).id]);
    }
    return all;
  }

  /** Attacks `base` from `host`. `answered()` returns the paths that have got a response since. */
  async function attack(client, host, base, targets, answered) {
    const path = (way) => `/api/users:destroy/${new Map(targets).get(way)}`;
    const reached = async (way) => {
      for (let i = 0; i < 300 && !answered().includes(path(way)); i += 1) await sleep(50);
      assert.ok(answered().includes(path(way)), `no request came: ${way} from ${host}`);
    };
    await attacker.tryEverything(client, host, (way) => base + path(way), reached);
  }

  /** The ways whose victim was deleted. */
  async function gone(targets) {
    const filter = JSON.stringify({ id: { $in: targets.map(([, id]) => id) } });
    const left = (await stage.nocobase.call(`users:list?paginate=false&filter=${filter}`)).map((u) => u.id);
    return targets.filter(([, id]) => !left.includes(id)).map(([way]) => way);
  }

  for (const [place, { gate: host, stranger, neighbour }] of Object.entries(PLACES)) {
    test(`would act at a site that trusts the cookie alone (${place})`, async () => {
      const client = await member(host);
      const ways = async (from) => {
        const naive = await Naive.start();
        await attack(client, from, `http://${host}:${naive.port}`, targets, () => naive.answered);
        naive.stop();
        return targets.filter(([, id]) => naive.acted.includes(`/api/users:destroy/${id}`)).map(([way]) => way);
      };
      // `SameSite=Lax` protects only against requests that are not a navigation.
      const byStranger = await ways(stranger);
      for (const way of ['a link', 'a form', 'a refresh', 'a redirect', 'a window', 'a script that goes there']) {
        assert.ok(byStranger.includes(way), `${way}: ${byStranger}`);
      }
      assert.ok(!byStranger.includes('an image') && !byStranger.includes('a form that posts'), `${byStranger}`);
      const byNeighbour = await ways(neighbour);
      assert.deepEqual(WAYS.filter((way) => !byNeighbour.includes(way)), []);
      await client.close();
    });

    for (const delivery of ['sealed', 'browser']) {
      describe(`at a gate ${place}, token_delivery = "${delivery}"`, () => {
        let gate;
        let client;
        let base;
        before(async () => {
          const port = await stage.freePort();
          base = `http://${host}:${port}`;
          gate = await stage.startGate(`cross-${host}-${delivery}`, {
            origin: base, nocobase: [`token_delivery = "${delivery}"`],
          });
          client = await member(host, await cookieOf(base));
          await signedIn();
        });
        after(async () => {
          await client.close();
          await gate.stop();
        });

        /** NocoBase's page is loaded, and its token works. */
        async function signedIn() {
          await client.page.goto(base + stage.page);
          assert.equal((await call(client.page, 'auth:check')).data.nickname, 'Boss');
          const kept = await client.page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN'));
          assert.match(kept, delivery === 'sealed' ? /^wcg_/ : /^eyJ/);
          return kept;
        }

        const asked = () => gate.lines.flatMap((l) => /"path":"(\/api\/users:destroy\/\d+)"/.exec(l)?.[1] ?? []);
        for (const [who, from] of Object.entries({ stranger, neighbour })) {
          test(`a ${who} does nothing in the member’s name`, async () => {
            const before = asked().length;
            await attack(client, from, base, targets, () => asked().slice(before));
            assert.deepEqual(await gone(targets), []);
          });

          test(`a ${who} reads nothing of the member’s`, async () => {
            const token = await signedIn();
            await attacker.show(client.page, from, '');
            const paths = ['/wecom-gate/me', '/wecom-gate/auth', '/api/auth:check', '/admin', stage.page, '/wecom-gate/gate.js'];
            const read = await client.page.evaluate(async ([base, paths]) => {
              const texts = [];
              for (const path of paths) {
                for (const headers of [{}, { accept: 'text/html' }]) {
                  const options = { credentials: 'include', headers };
                  texts.push(await fetch(base + path, options).then((a) => a.text(), (e) => `${e}`));
                }
              }
              return texts;
            }, [base, paths]);
            const all = read.join('\n');
            assert.ok(!all.includes(token) && !all.includes('Boss') && !all.includes('zhangsan'), all.slice(0, 2000));
          });

          test(`a ${who} opens no WebSocket`, async () => {
            await attacker.show(client.page, from, '');
            const opened = await client.page.evaluate((url) => new Promise((resolve) => {
              const socket = new WebSocket(url);
              socket.onopen = () => resolve(true);
              socket.onerror = () => resolve(false);
            }), `${base.replace('http', 'ws')}/ws`);
            assert.equal(opened, false);
          });

          test(`a ${who} cannot sign the member out`, async () => {
            for (const path of ['/wecom-gate/logout', '/api/auth:signOut']) {
              await attacker.show(client.page, from, `<form method="post" action="${base}${path}"><button>Go</button></form>`);
              await client.page.getByRole('button').click();
              await client.page.waitForURL(base + path);
            }
            await signedIn();
          });
        }

        test('NocoBase’s own page may', async () => {
          await signedIn();
          const { id } = await stage.nocobase.call('users:create', { nickname: 'Victim' });
          assert.equal((await call(client.page, `users:destroy?filterByTk=${id}`)).status, 200, 'by GET, too');
          assert.deepEqual(await stage.nocobase.users({ id }), []);
        });
      });
    }
  }
});
