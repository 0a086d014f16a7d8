// The load of many gates on WeCom, NocoBase and Redis: the figures of docs/scale.md. `node tests/scale/model.mjs` prints its
// tables; model.test.mjs checks the formulas by simulating a few gates request by request, and the document against this file.

/** Default of `session.recheck`, in seconds. */
export const RECHECK = 15 * 60;

/** WeCom's limits (documents 90312 and 90313), per company and call. */
export const WECOM = { minute: 10_000, hour: 150_000 };
/** Per calling address, over all companies. */
export const WECOM_ADDRESS = { minute: 20_000, hour: 600_000 };

/** Redis: entries that the stream of ended sessions keeps, and bytes of one (`MEMORY USAGE`, 50,000 entries of 72 characters). */
export const STREAM = { entries: 50_000, bytes: 92 };

/** Bytes of a row of issuedTokens with its three indexes (PostgreSQL 15, 200,000 rows). */
export const ROW = 201;

/** How people behave; all of these are assumptions, to be replaced by your own figures. */
export const PEOPLE = {
  online: 0.6, // of all members in the busiest hour
  requests: 6, // a minute, of somebody who is online
  signIns: 1.2, // a day and member: each morning, as `session.idle` (12 hours) has passed, and some on a second device
  signOuts: 0.1, // a day and member
  nine: 15 * 60, // seconds in which those who are online arrive in the morning
};

/** Members of a department (assumed), and how many of them must be due at a node before it asks for all of them at once. */
export const DEPARTMENT = { members: 20, few: 3 };

/** What each component can do per second on one core. */
export const CAPACITY = {
  gate: 12_000, // signed-in requests of 1 KiB (docs/performance.md)
  signIn: 1250, // sign-ins: 0.8 ms each (docs/performance.md)
  nocobase: 250, // session checks by one NocoBase process (assumed; it depends on the machine and the database)
  redis: 100_000, // commands (assumed)
};

/** How many of `nodes` a user meets who sends `requests` requests, each to a random one. */
export const met = (nodes, requests) => (nodes <= 1 ? nodes : nodes * (1 - (1 - 1 / nodes) ** requests));

/**
 * How often per second `nodes` nodes recheck a user who sends `rate` requests per second, each to a random one: a node rechecks
 * with the first request that it sees after `recheck`.
 */
export const asked = (nodes, rate, recheck = RECHECK) => nodes / (recheck + nodes / rate);

/**
 * How often per second WeCom is asked about the `people` of one department who are online. A node to which enough of them come asks
 * for the list of all; with the first request after `recheck`, as above. Otherwise each is asked about alone.
 */
export function askedTogether(people, nodes, rate, { sticky = false, redis = false } = {}, recheck = RECHECK) {
  const here = sticky ? people / nodes : (people * met(nodes, rate * recheck)) / nodes;
  if (here < DEPARTMENT.few) return people * asked(sticky || redis ? 1 : nodes, rate, recheck);
  return asked(redis ? 1 : nodes, rate * people, recheck);
}

/** The load of all gates. `sticky`: the balancer sends a session to the same node; `redis`: the nodes share one. */
export function load({ members, companies, nodes, sticky = false, redis = false }) {
  const online = members * PEOPLE.online;
  const rate = PEOPLE.requests / 60;
  // A node asks NocoBase about each session that it sees, and WeCom about each member, unless another node has.
  const rechecks = online * asked(sticky ? 1 : nodes, rate);
  const checks = online * asked(sticky || redis ? 1 : nodes, rate);
  const wecomHour = (online / companies) * asked(sticky || redis ? 1 : nodes, rate) * 3600;
  const departments = members / companies / DEPARTMENT.members;
  const together = departments * askedTogether(DEPARTMENT.members * PEOPLE.online, nodes, rate, { sticky, redis }) * 3600;
  const requests = (online * PEOPLE.requests) / 60;
  const endings = (members * (PEOPLE.signOuts + PEOPLE.signIns)) / 86_400;
  return {
    members, companies, nodes,
    met: sticky ? 1 : met(nodes, rate * RECHECK),
    requests,
    cores: requests / CAPACITY.gate,
    checks,
    nocobaseCores: checks / CAPACITY.nocobase,
    wecomHour,
    wecomShare: wecomHour / WECOM.hour,
    together,
    togetherShare: together / WECOM.hour,
    // Each node has its own address, or all share one: the worst case.
    addressShare: (wecomHour * companies) / WECOM_ADDRESS.hour,
    nine: online / PEOPLE.nine,
    nineCores: online / PEOPLE.nine / CAPACITY.signIn,
    sessionsPerNode: (online * (sticky ? 1 : met(nodes, PEOPLE.requests * 60 * 8))) / nodes,
    endings,
    streamMinutes: STREAM.entries / endings / 60,
    fanOut: redis ? endings * STREAM.bytes * nodes : 0,
    // Reading the stream, five for a sign-in, two for an ended session, up to three for a recheck of a member and four for that of a
    // session, and three when a node sees a session for the first time, those of eight hours.
    redisCommands: redis
      ? nodes + (members * PEOPLE.signIns * 5) / 86_400 + endings * 2 + rechecks * 5 + checks + (wecomHour * companies) / 3600
        + (online * (sticky ? 1 : met(nodes, PEOPLE.requests * 60 * 8)) * 3) / (8 * 3600)
      : 0,
    rowsDay: members * PEOPLE.signIns,
    rowsGibYear: (members * PEOPLE.signIns * 365 * ROW) / 2 ** 30,
  };
}

/** The document's cases. */
export const CASES = [
  ['a company', { members: 2_000, companies: 1, nodes: 2 }],
  ['x10', { members: 20_000, companies: 1, nodes: 2 }],
  ['x100', { members: 200_000, companies: 5, nodes: 8 }],
  ['x1,000', { members: 2_000_000, companies: 20, nodes: 100 }],
  ['the largest', { members: 10_000_000, companies: 50, nodes: 1_000 }],
];

const number = (value) => {
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  if (value >= 10) return value.toFixed(0);
  return Number(value.toPrecision(2)).toString();
};
const percent = (share) => `${number(share * 100)} %`;

const ROWS = [
  ['requests a second', (l) => number(l.requests)],
  ['cores for them', (l) => number(l.cores)],
  ['sign-ins a second at nine', (l) => number(l.nine)],
  ['nodes that a session meets within `session.recheck`', (l) => number(l.met)],
  ['checks a second in NocoBase', (l) => number(l.checks)],
  ['of NocoBase processes, at 250 a second', (l) => number(l.nocobaseCores)],
  ['WeCom calls an hour, each company', (l) => number(l.wecomHour)],
  ['of the limit for a company', (l) => percent(l.wecomShare)],
  ['of them, if all members are in departments of 20', (l) => number(l.together)],
  ['of the limit for a company, then', (l) => percent(l.togetherShare)],
  ['of the limit for an address, if all nodes have one', (l) => percent(l.addressShare)],
  ['sessions that a node sees in eight hours', (l) => number(l.sessionsPerNode)],
  ['the stream in Redis reaches back, minutes', (l) => number(l.streamMinutes), 'redis'],
  ['Redis sends, kB/s', (l) => number(l.fanOut / 1e3), 'redis'],
  ['Redis commands a second', (l) => number(l.redisCommands), 'redis'],
  ['rows of issuedTokens a day', (l) => number(l.rowsDay)],
  ['GiB of them after a year', (l) => number(l.rowsGibYear)],
];

/** A table in Markdown with a column for each case. */
export function table(options) {
  const loads = CASES.map(([, fleet]) => load({ ...fleet, ...options }));
  const rows = [
    ['', ...CASES.map(([name]) => name)],
    ['---', ...CASES.map(() => '---:')],
    ['members', ...loads.map((l) => number(l.members))],
    ['companies', ...loads.map((l) => number(l.companies))],
    ['nodes', ...loads.map((l) => number(l.nodes))],
    ...ROWS.filter(([, , needs]) => !needs || options[needs]).map(([name, of]) => [name, ...loads.map(of)]),
  ];
  return rows.map((cells) => `| ${cells.join(' | ')} |`.replace('|  |', '| |')).join('\n');
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  for (const options of [{}, { redis: true }, { redis: true, sticky: true }]) console.log(`${JSON.stringify(options)}\n\n${table(options)}\n`);
}
