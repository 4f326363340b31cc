"""kill -9 of the postmaster while many runs are ready: the first step after the server accepts connections."""

import os
import subprocess
import time

import psycopg2

from measuring import Figure, TOP

REPEATED = False
FIGURES = {
    'first': Figure('postmaster killed with {count:,} runs ready: from the first connection to the first step', 's', [('value', '<= 1')]),
}


def measure(server):
    count = 100000 if server.long else 20000
    server.configure()
    data = server.value("SELECT current_setting('data_directory')")
    with open(os.path.join(data, 'postmaster.pid')) as f:
        postmaster = int(f.readline())
    server.do("SELECT count(expense_flow.start_workflow('bench_three')) FROM generate_series(1, %s)", count)
    # private_server sees to the rest: it waits for the last process, and starts the server again
    restart = subprocess.Popen([os.path.join(TOP, 'test', 'private_server'), 'crash', os.environ['BENCH_SERVER']])
    while os.path.exists('/proc/%d' % postmaster) and restart.poll() is None:
        time.sleep(0.001)
    server.connection = None
    while True:
        try:
            server.reconnect()
            break
        except psycopg2.OperationalError:
            if restart.poll() not in (None, 0):
                raise RuntimeError('the server did not start again')
            time.sleep(0.002)
    accepted = server.clock()
    restart.wait()
    ready = server.value('SELECT count(*) FROM expense_flow.branch')
    FIGURES['first'].title = FIGURES['first'].title.format(count=round(ready, -3))
    server.wait_until_idle()
    first = server.value('SELECT min(at) FROM expense_flow.transition WHERE at > (SELECT pg_postmaster_start_time())')
    FIGURES['first'].record(max(0, (first - accepted).total_seconds()))
