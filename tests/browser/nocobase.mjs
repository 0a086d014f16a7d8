// The real NocoBase, and what an administrator does in it.
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Program, freePort, run } from './process.mjs';

export const SCRIPT = fileURLToPath(new URL('../../demo/nocobase.sh', import.meta.url));
const CACHE = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
export const HOME = process.env.WECOM_GATE_NOCOBASE || join(CACHE, 'wecom-gate', 'nocobase-2.2.15');
const ROOT = 1;

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export class NocoBase {
  /** Starts one with an empty database below `state`, or with more `settings`, such as another database's. */
  static async start(state, key, settings = []) {
    await NocoBase.install();
    const nocobase = new NocoBase(join(state, 'nocobase'), await freePort(), key, settings);
    await nocobase.start();
    return nocobase;
  }

  static install() {
    return run('bash', [SCRIPT, 'install', HOME]);
  }

  constructor(state, port, key, settings) {
    this.port = port;
    this.base = `http://127.0.0.1:${port}`;
    this.key = key;
    this.args = [SCRIPT, 'start', HOME, state, String(port), key, ...settings, '--stop-on-eof'];
  }

  /** Starts it, also again after a stop. */
  async start() {
    this.program = new Program('NocoBase', 'bash', this.args);
    await this.program.line(/ready at/);
  }

  /** A token as NocoBase issues them: with `roleName` an API key, without one a session's. */
  mint(userId, roleName, lifetime = 3600, jti = randomUUID()) {
    const now = Math.floor(Date.now() / 1000);
    const claims = { userId, ...(roleName ? { roleName } : { temp: true, jti, signInTime: now * 1000 }) };
    const body = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url({ ...claims, iat: now, exp: now + lifetime })}`;
    return `${body}.${createHmac('sha256', this.key).update(body).digest('base64url')}`;
  }

  /** A call directly to NocoBase, by default as the root user. Returns `data` of the response. */
  async call(path, body, token = this.mint(ROOT, 'root')) {
    const response = await fetch(`${this.base}/api/${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    assert.equal(response.status, 200, `${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text).data : undefined;
  }

  /** The users that match. */
  users(filter) {
    return this.call(`users:list?filter=${encodeURIComponent(JSON.stringify(filter))}`);
  }

  /**
   * A user with only the rights that the gate needs; returns the id. `change` removes some of its rights: table -> action ->
   * fields.
   */
  async serviceUser(name = 'wecom_gate', change = () => {}) {
    await this.call('roles:create', {
      name, title: name, hidden: false, default: false,
      snippets: ['!ui.*', '!pm', '!pm.*'], strategy: { actions: [] },
    });
    const rights = {
      users: {
        view: ['id', 'username', 'nickname', 'phone', 'email'],
        create: ['nickname', 'username', 'phone', 'email', 'roles'],
      },
      usersAuthenticators: {
        view: ['uuid', 'authenticator', 'userId', 'nickname', 'meta'],
        create: ['uuid', 'userId', 'authenticator', 'nickname', 'avatar', 'meta'],
      },
      issuedTokens: {
        view: ['id', 'jti', 'userId'],
        create: ['id', 'jti', 'signInTime', 'issuedTime', 'userId', 'authenticator'],
      },
    };
    change(rights);
    for (const [resource, actions] of Object.entries(rights)) {
      await this.call(`roles/${name}/resources:create`, {
        name: resource,
        usingActionsConfig: true,
        actions: Object.entries(actions).map(([action, fields]) => ({ name: action, fields, scope: null })),
      });
    }
    const user = await this.call('users:create', { username: name.replaceAll('_', '-'), nickname: 'WeCom gate', roles: [name] });
    return user.id;
  }

  /** A page in the menu that every member sees; returns its path. */
  async page(title, uid) {
    const route = await this.call('desktopRoutes:create', {
      type: 'flowPage', title, schemaUid: uid, menuSchemaUid: `${uid}menu`, enableTabs: false, displayTitle: true,
      children: [{ type: 'tabs', title: 'Tab', schemaUid: `${uid}tab`, tabSchemaName: `${uid}tabname`, hidden: true }],
    });
    const routes = [route.id, ...(route.children ?? []).map((c) => c.id)];
    await this.call('roles/member/desktopRoutes:add', routes);
    return `/admin/${uid}`;
  }
}
