// Programs that a run starts, and that are stopped with it whatever happens.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

const alive = new Set();

// The last resort: an aborted run leaves no process behind.
process.on('exit', () => alive.forEach((p) => p.child.kill('SIGKILL')));

/** A running program; its output is kept and can be waited for. */
export class Program {
  lines = [];
  #waiting = [];

  constructor(name, command, args, options = {}) {
    this.name = name;
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
    alive.add(this);
    this.ended = new Promise((resolve) => {
      this.child.once('error', (e) => this.#line(`cannot start: ${e.message}`));
      this.child.once('close', (code, signal) => {
        alive.delete(this);
        this.over = `${name} ended (${signal ?? code})`;
        this.#waiting.splice(0).forEach((w) => w.reject(new Error(`${this.over}\n${this.tail()}`)));
        resolve();
      });
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => this.#line(line));
    }
  }

  #line(line) {
    this.lines.push(line);
    this.#waiting = this.#waiting.filter((w) => !(w.pattern.test(line) && (w.resolve(line), true)));
  }

  /** The first line, printed already or later, that matches. */
  line(pattern) {
    const there = this.lines.find((l) => pattern.test(l));
    if (there !== undefined) return Promise.resolve(there);
    if (this.over) return Promise.reject(new Error(`${this.over}\n${this.tail()}`));
    return new Promise((resolve, reject) => this.#waiting.push({ pattern, resolve, reject }));
  }

  tail(n = 25) {
    return this.lines.slice(-n).join('\n');
  }

  /** Sends SIGTERM, and SIGKILL after `patience` milliseconds. */
  async stop(patience = 10_000) {
    if (this.over) return;
    this.child.stdin.end();
    this.child.kill('SIGTERM');
    const insist = setTimeout(() => this.child.kill('SIGKILL'), patience);
    await this.ended;
    clearTimeout(insist);
  }
}

/** Below the system's ephemeral ports, which Chromium's connections use above all: such a port may be taken by another program
    while nothing listens on it for a while. Above 10,080, which browsers refuse. */
const FIRST = 11_000;
const COUNT = 21_000;
let taken = 0;

/** A free port of 127.0.0.1. */
export async function freePort() {
  for (;;) {
    const port = FIRST + (((process.pid % 199) * 105 + taken) % COUNT);
    taken += 1;
    const isFree = await new Promise((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

/** Runs a command until it ends. */
export async function run(command, args, options) {
  const program = new Program(command, command, args, options);
  await program.ended;
  if (program.child.exitCode !== 0) throw new Error(`${command} ${args.join(' ')}: ${program.tail()}`);
}
