// Tasks with checkpointed steps, by workers that poll.  Its schema is not in its package: ABSURD_SQL names the file.

import { readFileSync } from 'node:fs';
import pg from 'pg';
import { Absurd } from 'absurd-sdk';

export const title = 'absurd-sdk';

export function missing() {
	return process.env.ABSURD_SQL ? null : 'ABSURD_SQL does not name the file with its schema';
}

export async function open(context) {
	const pool = new pg.Pool({ connectionString: context.url, max: 16 });
	await pool.query(readFileSync(process.env.ABSURD_SQL, 'utf8'));
	const app = new Absurd({ db: pool, queueName: 'bench' });
	await app.createQueue('bench');
	app.registerTask({ name: 'single' }, async (params, task) => {
		await task.step('first', async () => { context.begun(params.id); return 1; });
		context.done(params.id);
	});
	app.registerTask({ name: 'three' }, async (params, task) => {
		await task.step('first', async () => { context.begun(params.id); return 1; });
		await task.step('second', async () => 1);
		await task.step('third', async () => 1);
		context.done(params.id);
	});
	const worker = await app.startWorker({ concurrency: 16, batchSize: 16, pollInterval: 0.01 });
	return {
		single: (id) => app.spawn('single', { id }),
		workflow: (id) => app.spawn('three', { id }),
		close: async () => { await worker.close(); await pool.end(); },
	};
}
