// The same clients on node-mysql2's PoolCluster, with its defaults. Says "ready" once they run,
// takes "fault" as the moment from which to count, and answers "end" with what it saw.
'use strict';

const mysql = require('mysql2/promise');

const [clients, pause, ...ports] = process.argv.slice(2).map(Number);
const cluster = mysql.createPoolCluster();
ports.forEach((port, n) => {
  cluster.add(`db${n}`, {
    host: '127.0.0.1', port, user: 'root', database: 'test', connectionLimit: 100,
  });
});

const now = () => performance.now();
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const waiting = new Array(clients).fill(null);
const seen = { checkout: 0, query: 0, failedCheckouts: 0, failedQueries: 0, answered: 0, silence: 0 };
let fault = Infinity;
let lastAnswer = 0;

async function note(client, phase, begin) {
  const begun = now();
  waiting[client] = { phase, begun };
  let value;
  let well = true;
  try {
    value = await begin();
  } catch {
    well = false;
  }
  waiting[client] = null;
  const end = now();
  if (end >= fault) {
    seen[phase] = Math.max(seen[phase], end - begun);
    if (!well) seen[phase === 'checkout' ? 'failedCheckouts' : 'failedQueries'] += 1;
    else if (phase === 'query') {
      seen.answered += 1;
      seen.silence = Math.max(seen.silence, end - lastAnswer);
      lastAnswer = end;
    }
  }
  if (!well) await sleep(pause);
  return [well, value];
}

async function run(client) {
  for (let call = 1; ; call += 1) {
    const [got, conn] = await note(client, 'checkout', () => cluster.getConnection('db*', 'RANDOM'));
    if (!got) continue;
    const [asked] = await note(client, 'query', () =>
      conn.query(`SELECT v FROM t WHERE id = ${(call % 1000) + 1}`));
    if (asked) conn.release();
    else conn.destroy();
  }
}

// A node that has failed too often is removed, which closes its pool; a failure of that is
// reported to no caller, and the exception would end the process.
let uncaught = 0;
process.on('uncaughtException', (error) => {
  uncaught += 1;
  if (uncaught === 1) {
    console.error(`PoolCluster threw an exception that no caller can catch, which ends a process: ${error.message}`);
  }
});

function report() {
  const end = now();
  let stuck = 0;
  for (const wait of waiting.filter(Boolean)) {
    seen[wait.phase] = Math.max(seen[wait.phase], end - wait.begun);
    if (end - wait.begun > 1000) stuck += 1;
  }
  const silence = Math.max(seen.silence, end - lastAnswer);
  console.log([seen.checkout, seen.query, seen.failedCheckouts, seen.failedQueries, stuck,
    seen.answered, silence].join(' '));
  process.exit(0);
}

process.stdin.on('data', (data) => {
  if (String(data).includes('fault')) {
    fault = now();
    lastAnswer = fault;
  }
  if (String(data).includes('end')) report();
});
// The parent process has ended.
process.stdin.on('close', () => process.exit(1));
for (let client = 0; client < clients; client += 1) run(client);
console.log('ready');
