// Forward-auth: each proxy of docs/forward-auth.md with its example from conf/, in front of the real NocoBase.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { call, menu } from './helpers.mjs';
import { Program } from './process.mjs';
import { UA, stage } from './stage.mjs';

const CONF = fileURLToPath(new URL('../../conf/', import.meta.url));
const SECRET = 'change-this-secret'; // as in the examples

/** Forwards connections to NocoBase and records the header sections. */
class Relay {
  #received = [];

  static async before(port) {
    const relay = new Relay();
    relay.server = net.createServer((from) => {
      const received = [];
      relay.#received.push(received);
      const to = net.connect(port, '127.0.0.1');
      from.on('data', (bytes) => received.push(bytes));
      for (const [one, other] of [[from, to], [to, from]]) {
        one.pipe(other);
        one.on('error', () => other.destroy());
      }
    });
    await new Promise((resolve) => relay.server.listen(0, '127.0.0.1', resolve));
    relay.server.unref();
    relay.port = relay.server.address().port;
    return relay;
  }

  /** Header sections of the requests so far, without the gate's own calls for health and version. */
  heads() {
    const texts = this.#received.map((received) => Buffer.concat(received).toString('latin1'));
    const heads = texts.flatMap((text) => text.match(/[A-Z]+ \/\S* HTTP\/1\.[01]\r\n[\s\S]*?\r\n\r\n/g) ?? []);
    return heads.filter((head) => !head.includes('__health_check') && !/^user-agent: wecom-gate\//im.test(head));
  }
}

/** The values of a field in a header section. */
function values(head, name) {
  const lines = head.split('\r\n').map((line) => line.split(/:\s*/, 2));
  return lines.filter(([n]) => n.toLowerCase() === name).map(([, value]) => value);
}

/** The program of a proxy, with its example; only addresses are replaced. */
const PROXIES = {
  nginx(dir, example, listen) {
    const conf = example('nginx-auth-request.conf', { 'listen 80;': `listen ${listen};` });
    const whole = [
      'daemon off; master_process off;', `pid ${dir}/pid; error_log ${dir}/log;`, 'events {}', 'http {', 'access_log off;',
      ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${kind};`),
      `include ${conf};`, '}',
    ];
    writeFileSync(join(dir, 'whole.conf'), whole.join('\n'));
    return ['/usr/sbin/nginx', ['-p', dir, '-e', join(dir, 'log'), '-c', join(dir, 'whole.conf')]];
  },
  Caddy(dir, example, listen) {
    const conf = example('Caddyfile', { 'nocobase.example.com {': `http://${listen} {` });
    return ['/usr/bin/caddy', ['run', '--config', conf, '--adapter', 'caddyfile'], {
      env: { ...process.env, HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir },
    }];
  },
  HAProxy(dir, example, listen) {
    const lua = example('haproxy-forward-auth.lua', {});
    const conf = example('haproxy.cfg', { '/etc/haproxy/haproxy-forward-auth.lua': lua, 'bind :80': `bind ${listen}` });
    return ['/usr/sbin/haproxy', ['-db', '-f', conf]];
  },
};
// In no Debian package: `make traefik` builds it and names it here.
if (process.env.WECOM_GATE_TRAEFIK) {
  PROXIES.Traefik = (dir, example, listen, gate, auth) => {
    const routes = example('traefik-wecom-gate.yml', {
      'Host(`nocobase.example.com`)': 'Host(`127.0.0.1`)', 'nocobase.example.com': listen, '127.0.0.1:8079': auth,
      'port: 9090, interval: 2s': `port: ${gate.ops.split(':')[1]}, interval: 50ms`,
    });
    const conf = example('traefik.yml', {
      '":80"': `"${listen}"`, '127.0.0.1:8079': auth, '/etc/traefik/traefik-wecom-gate.yml': routes,
    });
    return [process.env.WECOM_GATE_TRAEFIK, [`--configFile=${conf}`]];
  };
}

async function start(name, gate, nocobase) {
  const listen = new URL(stage.origin).host;
  const dir = join(stage.dir, `forward-${name}`);
  mkdirSync(dir);
  const example = (file, replace) => {
    const all = { '127.0.0.1:8080': `127.0.0.1:${gate.port}`, '127.0.0.1:13000': `127.0.0.1:${nocobase.port}`, 'check port 9090 inter 2s': `check port ${gate.ops.split(':')[1]} inter 50ms`, ...replace };
    const text = Object.entries(all).reduce((text, [from, to]) => text.replaceAll(from, to), readFileSync(CONF + file, 'utf8'));
    writeFileSync(join(dir, file), text);
    return join(dir, file);
  };
  const proxy = new Program(name, ...PROXIES[name](dir, example, listen, gate, `127.0.0.1:${await stage.freePort()}`));
  for (;;) {
    if (proxy.over) throw new Error(`${proxy.over}\n${proxy.tail()}`);
    const status = (path) => fetch(stage.origin + path).then((response) => response.status, () => undefined);
    // Traefik listens before it knows its routes: until then nothing is there.
    if (await status('/wecom-gate/auth') === 404 && await status('/wecom-gate/me') === 401) return proxy;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('forward-auth', () => {
  let gate;
  let direct; // from the proxy to NocoBase
  let behind; // from the gate to NocoBase
  before(async () => {
    await stage.gate.stop();
    [direct, behind] = [await Relay.before(stage.nocobase.port), await Relay.before(stage.nocobase.port)];
    gate = await stage.startGate('forward', {
      port: await stage.freePort(), nodes: [behind],
      nocobase: ['identity_headers = true'],
      access: ['trusted_proxies = ["127.0.0.1"]', `forward_auth_secret = "${SECRET}"`],
    });
  });
  after(async () => {
    await gate?.stop();
    direct.server.close();
    behind.server.close();
    stage.gate = await stage.startGate('a');
  });

  for (const name of Object.keys(PROXIES)) {
    test(`a member works behind ${name}, and no one else gets past it`, async () => {
      const proxy = await start(name, gate, direct);
      const at = { origin: stage.origin, port: new URL(stage.origin).port };
      try {
        // Without a session nothing from NocoBase, whatever the request contains.
        const [before, others] = [direct.heads().length, behind.heads().length];
        const lies = { 'x-wecom-user': 'boss', 'x-forwarded-user': '1', 'x-wecom-gate-secret': SECRET };
        for (const [path, headers, status] of [
          ['/api/users:list', {}, 401], ['/api/users:list', lies, 401], ['/api/roles:check', { authorization: 'Bearer x' }, 401],
          ['/assets/x.js', lies, 401], ['/storage/uploads/x.png', lies, 401],
          ['/admin', { 'user-agent': UA.desktop, accept: 'text/html', ...lies }, 302],
        ]) {
          assert.equal((await stage.ask(at, path, { headers })).status, status, path);
        }
        assert.deepEqual([direct.heads().slice(before), behind.heads().slice(others)], [[], []]);

        const client = await stage.client('lisi');
        const { page, recorder } = client;
        await page.goto(stage.origin + stage.page);
        const allow = page.getByRole('button', { name: 'Allow' });
        await allow.or(page.getByText('Orders 订单')).first().waitFor();
        if (await allow.isVisible()) await allow.click();
        await menu(page);
        assert.equal((await call(page, 'auth:check')).data.nickname, '李四');
        await recorder.first('frames', (f) => f.way === 'received' && f.text.includes('"authorized"'), 'authorized');
        const file = await page.evaluate(async () => {
          const form = new FormData();
          form.append('file', new Blob(['past the proxy']), 'note.txt');
          const csrf = /nb_csrf_token_main=([^;]*)/.exec(document.cookie);
          const headers = { Authorization: `Bearer ${localStorage.getItem('NOCOBASE_TOKEN')}` };
          if (csrf) headers['X-CSRF-Token'] = decodeURIComponent(csrf[1]);
          const made = await (await fetch('/api/attachments:create', { method: 'POST', headers, body: form })).json();
          return (await fetch(made.data.url)).text();
        });
        assert.equal(file, 'past the proxy');

        // What NocoBase sees: the member, whatever the page claims, and nothing of the gate's.
        await page.evaluate(async (lies) => {
          const headers = { Authorization: `Bearer ${localStorage.getItem('NOCOBASE_TOKEN')}`, ...lies };
          await fetch('/api/roles:check?spoofed', { headers });
        }, lies);
        const seen = direct.heads().slice(before);
        assert.ok(seen.length > 10, `${seen.length} requests went from ${name} to NocoBase`);
        assert.ok(seen.some((head) => head.includes(' /api/roles:check?spoofed ')));
        for (const head of seen) {
          const path = head.split(' ')[1];
          assert.deepEqual(values(head, 'x-wecom-user').filter(Boolean), ['lisi'], head);
          assert.deepEqual(values(head, 'x-forwarded-user').filter((v) => v === '1'), [], head);
          assert.doesNotMatch(head, /boss|wecom_gate=|wcg_|change-this-secret/, head);
          for (const value of values(head, 'authorization').filter(Boolean)) assert.match(value, /^Bearer ey/, path);
        }
        await recorder.assertNoToken();
        assert.deepEqual(recorder.console, []);
        await stage.picture(page, `forward-${name}`);

        // Signed out.
        const cookies = (await client.context.cookies(stage.origin)).map((c) => `${c.name}=${c.value}`).join('; ');
        const phantom = await page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN'));
        const stolen = { cookie: cookies, authorization: `Bearer ${phantom}` };
        assert.equal((await stage.ask(at, '/api/roles:check', { headers: stolen })).status, 200);
        await page.getByTestId('user-center-button').hover();
        await page.getByRole('menu').getByText('Sign out').click();
        await page.getByText('You are signed out').waitFor();
        for (const path of ['/api/roles:check', '/api/auth:check', '/wecom-gate/me']) {
          assert.equal((await stage.ask(at, path, { headers: stolen })).status, 401, path);
        }
        await page.goto(stage.origin + stage.page);
        await page.getByText('You are signed out').waitFor();
        await client.close();
      } finally {
        await proxy.stop();
      }
    });
  }
});
