// A job queue that polls, at most twice a second; batches, as its documentation advises for throughput.  A workflow of
// three steps is a job that sends the next one.

import PgBoss from 'pg-boss';

export const title = 'pg-boss';

export async function open(context) {
	const boss = new PgBoss({ connectionString: context.url, max: 16, supervise: false, schedule: false });
	boss.on('error', (error) => { throw error; });
	await boss.start();
	const work = async (queue, handler) => {
		await boss.createQueue(queue);
		await boss.work(queue, { batchSize: 1000, pollingIntervalSeconds: 0.5 }, async (jobs) => {
			await Promise.all(jobs.map((job) => handler(job.data)));
		});
	};
	await work('single', async (data) => { context.begun(data.id); context.done(data.id); });
	await work('first', async (data) => { context.begun(data.id); await boss.send('second', data); });
	await work('second', async (data) => { await boss.send('third', data); });
	await work('third', async (data) => { context.done(data.id); });
	return {
		single: (id) => boss.send('single', { id }),
		workflow: (id) => boss.send('first', { id }),
		close: () => boss.stop({ graceful: false, wait: true }),
	};
}
