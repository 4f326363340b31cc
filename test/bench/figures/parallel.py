"""Branches of a Parallel that wait without using the processor, with one worker and with eight."""

import json

from measuring import Figure

REPEATED = True
FIGURES = {
    'rate': Figure('8 branches that sleep 0.1 s, 8 workers', 'runs/s', [('ratio', '>= 7')], '1 worker'),
}


def set_up(server):
    branches = [{'StartAt': 'S%d' % i, 'States': {'S%d' % i: {'Type': 'Task', 'Resource': 'sql:bench.sleep', 'End': True}}}
                for i in range(8)]
    server.do("SELECT expense_flow.create_workflow('bench_parallel', %s)",
              json.dumps({'StartAt': 'P', 'States': {'P': {'Type': 'Parallel', 'Branches': branches, 'End': True}}}))


def rate(server, workers):
    server.configure(workers)
    server.do("SELECT expense_flow.start_workflow('bench_clock') FROM generate_series(1, 100)")     # all are up and warm
    server.wait_until_idle()
    run = server.value("SELECT expense_flow.start_workflow('bench_parallel')::text")
    server.value("SELECT expense_flow.get_result(%s::uuid, '1 minute')", run)
    return 1 / float(server.value('SELECT extract(epoch FROM closed_at - started_at) FROM expense_flow.runs WHERE run_id = %s', run))


def measure(server):
    FIGURES['rate'].record(rate(server, 8), rate(server, 1))
