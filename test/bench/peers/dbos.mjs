// Workflows in the process that starts them, with a row for the workflow and one for each step.

import { DBOS } from '@dbos-inc/dbos-sdk';

export const title = '@dbos-inc/dbos-sdk';

export async function open(context) {
	DBOS.setConfig({ name: 'bench', systemDatabaseUrl: context.url, systemDatabasePoolSize: 16, logLevel: 'error', runAdminServer: false });
	const single = DBOS.registerWorkflow(async (id) => {
		await DBOS.runStep(async () => { context.begun(id); return 1; }, { name: 'first' });
	}, { name: 'single' });
	const three = DBOS.registerWorkflow(async (id) => {
		await DBOS.runStep(async () => { context.begun(id); return 1; }, { name: 'first' });
		await DBOS.runStep(async () => 1, { name: 'second' });
		await DBOS.runStep(async () => 1, { name: 'third' });
	}, { name: 'three' });
	await DBOS.launch();
	// Done is what the database has as done, so not the end of the function.
	const start = async (workflow, id) => {
		const handle = await DBOS.startWorkflow(workflow)(id);
		void handle.getResult().then(() => context.done(id));
	};
	return {
		single: (id) => start(single, id),
		workflow: (id) => start(three, id),
		close: () => DBOS.shutdown(),
	};
}
