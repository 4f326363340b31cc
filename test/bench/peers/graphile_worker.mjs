// A job queue: a workflow of three steps is a job that adds the next one.  Settings of its documentation for throughput:
// a local queue, and completions in batches.

import { makeWorkerUtils, run } from 'graphile-worker';

export const title = 'graphile-worker';

export async function open(context) {
	const preset = {
		worker: {
			connectionString: context.url,
			maxPoolSize: 16,
			concurrentJobs: 10,
			localQueue: { size: 500 },
			completeJobBatchDelay: 0,
		},
	};
	const utils = await makeWorkerUtils({ connectionString: context.url, maxPoolSize: 8 });
	await utils.migrate();
	const addJob = (task, payload) => utils.addJob(task, payload);
	const runner = await run({
		preset,
		noHandleSignals: true,
		taskList: {
			single: async (payload) => { context.begun(payload.id); context.done(payload.id); },
			first: async (payload) => { context.begun(payload.id); await addJob('second', payload); },
			second: async (payload) => { await addJob('third', payload); },
			third: async (payload) => { context.done(payload.id); },
		},
	});
	return {
		single: (id) => addJob('single', { id }),
		workflow: (id) => addJob('first', { id }),
		close: async () => { await runner.stop(); await utils.release(); },
	};
}
