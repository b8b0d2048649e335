// The peer rate-limiter-flexible (npm) as a worker; protocol.py says what a worker does.
// A decision consumes a point of the user's and of the organisation's, side by side. Windows last a day, so
// none ends in a run. It answers in one region, and keeps no ledger.
'use strict';

const { createRequire } = require('node:module');
const http = require('node:http');
const path = require('node:path');
const { once } = require('node:events');
const { parseArgs } = require('node:util');

const modules = createRequire(path.join(process.env.CUTLASS_PEER_MODULES, 'package.json'));
const { DynamoDB } = modules('@aws-sdk/client-dynamodb');
const { RateLimiterDynamo, RateLimiterRes } = modules('rate-limiter-flexible');

const TABLE = 'limits';
const ORG = 'bench';
const USERS = Array.from({ length: 64 }, (_, number) => `user${number}`);
const PLENTY = 1e9;
const DAY_SECONDS = 86400;

const text = { type: 'string' };
const { values: options } = parseArgs({
  allowPositionals: true,
  options: {
    endpoint: text,
    'aws-region': text,
    region: text,
    peers: text,
    prepare: { type: 'boolean', default: false },
    cap: text,
    warm: { ...text, default: '0' },
    clients: { ...text, default: '1' },
    first: { ...text, default: '0' },
    seconds: { ...text, default: '300' },
    times: text,
  },
});

const storeClient = new DynamoDB({
  endpoint: options.endpoint,
  region: options['aws-region'],
  maxAttempts: 1,
  requestHandler: { httpAgent: new http.Agent({ keepAlive: true, maxSockets: 256 }) },
});

function limiter(keyPrefix, points) {
  return new RateLimiterDynamo({
    storeClient, tableName: TABLE, keyPrefix, points, duration: DAY_SECONDS, tableCreated: true, ttlSet: true,
  });
}

const users = limiter('user', PLENTY);
const organisations = limiter('organisation', options.cap === undefined ? PLENTY : Number(options.cap));

function prepare() {
  return new Promise((resolve, reject) => {
    const made = new RateLimiterDynamo({ storeClient, tableName: TABLE, points: PLENTY, duration: DAY_SECONDS },
      (error) => (error ? reject(error) : resolve(made)));
  });
}

async function decide(user) {
  const answers = await Promise.allSettled([users.consume(user), organisations.consume(ORG)]);
  for (const { status, reason } of answers) {
    if (status === 'rejected' && !(reason instanceof RateLimiterRes)) throw reason;
  }
  return answers.every(({ status }) => status === 'fulfilled');
}

async function loop(number, seconds, times) {
  const met = { latencies: [], failures: [], refused: 0 };
  const began = performance.now();
  let turn = number;
  let now = began;
  let left = times;
  while (now - began < 1000 * seconds && left-- > 0) {
    const before = now;
    try {
      const allowed = await decide(USERS[++turn % USERS.length]);
      now = performance.now();
      met.latencies.push((now - before) / 1000);
      met.refused += allowed ? 0 : 1;
    } catch (error) {
      now = performance.now();
      met.failures.push(`${error.name}: ${error.message}`);
    }
  }
  return met;
}

async function main() {
  if (options.prepare) {
    await prepare();
    return;
  }
  const seconds = Number(options.seconds);
  const times = options.times === undefined ? Infinity : Number(options.times);
  for (let left = Number(options.warm); left > 0; left--) {
    for (const user of USERS) await decide(user);
  }
  const numbers = Array.from({ length: Number(options.clients) }, (_, number) => Number(options.first) + number);
  if (times === Infinity) {
    await Promise.all(numbers.map((number) => loop(number, Math.min(1, 0.2 * seconds), Infinity)));
  }
  process.stdout.write('ready\n');
  await once(process.stdin, 'data');
  const began = performance.now();
  const cpuBegan = process.cpuUsage();
  const met = await Promise.all(numbers.map((number) => loop(number, seconds, times)));
  const cpu = process.cpuUsage(cpuBegan);
  process.stdout.write(JSON.stringify({
    clients: numbers.length,
    latencies: met.flatMap((one) => one.latencies),
    failures: met.flatMap((one) => one.failures),
    elapsed: (performance.now() - began) / 1000,
    cpu: (cpu.user + cpu.system) / 1e6,
    refused: met.reduce((sum, one) => sum + one.refused, 0),
  }));
  process.stdin.destroy();
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
