// The same work on this extension, started through the same driver.

import pg from 'pg';

export const title = 'expense_flow';

function definition(count) {
	const states = {};
	for (let i = 1; i <= count; i++) {
		states[`S${i}`] = { Type: 'Task', Resource: i === 1 ? 'sql:peers.first' : 'sql:peers.step', ...(i < count ? { Next: `S${i + 1}` } : { End: true }) };
	}
	return JSON.stringify({ StartAt: 'S1', States: states });
}

export async function open(context) {
	const pool = new pg.Pool({ connectionString: context.url, max: 8 });
	await pool.query(`
		CREATE EXTENSION IF NOT EXISTS expense_flow;
		CREATE SCHEMA peers;
		CREATE FUNCTION peers.first() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RETURN clock_timestamp(); END';
		CREATE FUNCTION peers.step() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'`);
	await pool.query('SELECT expense_flow.create_workflow($1, $2), expense_flow.create_workflow($3, $4)',
		['peers_single', definition(1), 'peers_three', definition(3)]);
	const start = (workflow, id) => pool.query({
		name: workflow, text: 'SELECT expense_flow.start_workflow($1, $2)', values: [workflow, JSON.stringify({ id })],
	});
	return {
		single: (id) => start('peers_single', id),
		workflow: (id) => start('peers_three', id),
		// The steps are in the server, so what they did is asked for there.
		finished: async () => {
			for (;;) {
				const { rows } = await pool.query('SELECT NOT EXISTS (SELECT FROM expense_flow.branch) AS idle');
				if (rows[0].idle) { break; }
				await new Promise((resolve) => setTimeout(resolve, 1));
			}
		},
		begunAt: async () => {
			const { rows } = await pool.query(`
				SELECT (input->>'id')::int AS id, extract(epoch FROM (output #>> '{}')::timestamptz)::float8 * 1000 AS at
				FROM expense_flow.runs WHERE workflow = 'peers_single' AND input->>'id' IS NOT NULL`);
			return new Map(rows.map((row) => [row.id, row.at]));
		},
		close: () => pool.end(),
	};
}
