// The run's own real PostgreSQL, from Debian's package: the package's own cluster is not used.
import { execFileSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOME, SCRIPT } from './nocobase.mjs';
import { Program, freePort, run } from './process.mjs';

const PROGRAMS = '/usr/lib/postgresql';
const USER = 'postgres';

/** Directory of the newest installed server's programs. */
function bin(name) {
  const versions = existsSync(PROGRAMS) ? readdirSync(PROGRAMS).sort((a, b) => Number(b) - Number(a)) : [];
  const all = versions.map((version) => join(PROGRAMS, version, 'bin', name));
  const found = all.find(existsSync);
  if (!found) throw new Error(`no ${name} below ${PROGRAMS}; try \`make packages\``);
  return found;
}

export class Postgres {
  /** Starts an empty server. It refuses to run as root, so it runs as the package's user there. */
  static async start() {
    const dir = mkdtempSync(join(tmpdir(), 'wecom-gate-postgres-'));
    const as = { cwd: dir };
    if (process.getuid() === 0) {
      [as.uid, as.gid] = ['-u', '-g'].map((what) => Number(execFileSync('id', [what, USER])));
      chownSync(dir, as.uid, as.gid);
    }
    const data = join(dir, 'data');
    await run(bin('initdb'), ['-D', data, '-A', 'trust', '-U', USER, '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'], as);
    const port = await freePort();
    const settings = {
      port, listen_addresses: '127.0.0.1', unix_socket_directories: '', fsync: 'off', synchronous_commit: 'off',
      full_page_writes: 'off', max_connections: 50,
    };
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    // It stops with the process that holds the other end of its standard input, and disconnects the remaining clients.
    const script = '"$@" </dev/null & while read -r _; do :; done; kill -INT $!; wait';
    const program = new Program('PostgreSQL', 'sh', ['-c', script, 'sh', bin('postgres'), '-D', data, ...args], as);
    await program.line(/ready to accept connections/);
    return new Postgres(program, port, dir);
  }

  constructor(program, port, dir) {
    this.program = program;
    this.port = port;
    this.dir = dir;
  }

  /** NocoBase's settings for it. */
  settings(database) {
    return [
      'DB_DIALECT=postgres', 'DB_HOST=127.0.0.1', `DB_PORT=${this.port}`, `DB_DATABASE=${database}`, `DB_USER=${USER}`,
      'DB_PASSWORD=none',
    ];
  }

  #client(program, ...args) {
    return run(bin(program), ['-h', '127.0.0.1', '-p', String(this.port), '-U', USER, ...args]);
  }

  /**
   * A database with NocoBase's tables and only the root user; its files go below `storage`. Created once by NocoBase, which takes
   * 40 seconds, and kept as a template.
   */
  async nocobase(database, storage) {
    const kept = join(HOME, 'template', 'postgres');
    await this.#client('createdb', database);
    if (!existsSync(kept)) {
      const fresh = mkdtempSync(join(HOME, '.postgres-'));
      try {
        await run('bash', [SCRIPT, 'fill', HOME, join(fresh, 'state'), ...this.settings(database)]);
        cpSync(join(fresh, 'state', 'storage', 'uploads'), join(fresh, 'kept', 'uploads'), { recursive: true });
        await this.#client('pg_dump', '--no-owner', '--file', join(fresh, 'kept', 'database.sql'), database);
        renameSync(join(fresh, 'kept'), kept);
      } finally {
        rmSync(fresh, { recursive: true, force: true });
      }
      await this.#client('dropdb', database);
      await this.#client('createdb', database);
    }
    await this.#client('psql', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-f', join(kept, 'database.sql'), database);
    cpSync(join(kept, 'uploads'), join(storage, 'uploads'), { recursive: true });
  }

  async stop() {
    this.program.child.stdin.end();
    await this.program.ended;
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
