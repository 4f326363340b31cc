// usage: node measure.mjs PEER
//
// Measures one of the peers in the database that PEERS_URL names, and prints the figures as JSON.
//   PEERS_JOBS      how many jobs, or workflows, are started (default 2000)
//   PEERS_CLIENTS   how many are being started at a time (default 8)

import pg from 'pg';

const clients = Number(process.env.PEERS_CLIENTS ?? 8);
const jobs = Number(process.env.PEERS_JOBS ?? 2000);
const tries = 100;
const url = process.env.PEERS_URL;

const clock = () => performance.timeOrigin + performance.now();
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// What jobs tell: when they began, and that they are done.
class Progress {
	#begun = new Map();
	#left = 0;
	#resolve;

	expect(count) {
		this.#begun.clear();
		this.#left = count;
		return new Promise((resolve) => { this.#resolve = resolve; });
	}

	begun(id) { this.#begun.set(id, clock()); }

	done() {
		this.#left--;
		if (this.#left === 0) { this.#resolve(); }
	}

	get beginnings() { return this.#begun; }
}

const progress = new Progress();
const context = { url, begun: (id) => progress.begun(id), done: (id) => progress.done(id) };

// Start that many, some at a time, and wait until all are done; returns how many a second.
async function rate(peer, start, count) {
	const finished = progress.expect(count);
	const began = clock();
	let next = 0;
	await Promise.all(Array.from({ length: clients }, async () => {
		while (next < count) { await start(next++); }
	}));
	await (peer.finished ? peer.finished() : finished);
	return count * 1000 / (clock() - began);
}

function percentile(values, fraction) {
	const sorted = [...values].sort((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))];
}

// From the call that starts a job on an idle system until its first step begins, in milliseconds.
async function latencies(peer) {
	const finished = progress.expect(tries);
	const started = new Map();
	for (let i = 0; i < tries; i++) {
		const id = 1_000_000 + i;
		started.set(id, clock());
		await peer.single(id);
		await sleep(5 + Math.random() * 10);
	}
	await (peer.finished ? peer.finished() : finished);
	const begun = peer.begunAt ? await peer.begunAt() : progress.beginnings;
	return [...started].map(([id, at]) => begun.get(id) - at);
}

async function walOf(database, work) {
	const start = (await database.query('SELECT pg_current_wal_insert_lsn() AS lsn')).rows[0].lsn;
	await work();
	const { rows } = await database.query('SELECT sum(record_size)::float8 AS bytes FROM pg_get_wal_stats($1, pg_current_wal_flush_lsn())', [start]);
	return rows[0].bytes;
}

async function measure(peer, database) {
	await rate(peer, peer.workflow, 300);				// caches and plans are made
	await rate(peer, peer.single, 300);
	const result = {};
	result.single = await rate(peer, peer.single, jobs);
	await database.query('CHECKPOINT');
	result.wal = await walOf(database, async () => { result.workflows = await rate(peer, peer.workflow, jobs); }) / jobs;
	const times = await latencies(peer);
	result.p50 = percentile(times, 0.5);
	result.p99 = percentile(times, 0.99);
	return result;
}

const module = await import(`./${process.argv[2]}.mjs`);
const lacking = module.missing?.();
if (lacking) {
	console.log(JSON.stringify({ title: module.title, missing: lacking }));
	process.exit(0);
}
const database = new pg.Client(url);
await database.connect();
await database.query('CREATE EXTENSION IF NOT EXISTS pg_walinspect');
const peer = await module.open(context);
const result = await measure(peer, database);
await peer.close();
await database.end();
console.log(JSON.stringify({ title: module.title, ...result }));
process.exit(0);
