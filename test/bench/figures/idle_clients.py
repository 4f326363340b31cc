"""Runs, beside clients that wait: for tasks of external activities, and for notifications."""

import threading

import psycopg2

from measuring import Figure

REPEATED = True
POLLERS = 50
LISTENERS = 20
FIGURES = {
    'runs': Figure('three-step runs per second, beside 50 pollers and 20 listeners', '/s', [('ratio', '>= 0.95')], 'without them'),
}


def poll(connection):
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM expense_flow.poll_activity('bench_idle', wait => '10 minutes')")
    except psycopg2.Error:
        pass                        # it was canceled


def measure(server):
    server.configure()
    before = server.run_rate(server.three)
    pollers = [server.connect() for _ in range(POLLERS)]
    listeners = [server.connect() for _ in range(LISTENERS)]
    threads = [threading.Thread(target=poll, args=(connection,)) for connection in pollers]
    for thread in threads:
        thread.start()
    for connection in listeners:
        with connection.cursor() as cursor:
            cursor.execute('LISTEN expense_flow_transaction')
    server.wait("SELECT count(*) >= %d FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%poll_activity(''bench_idle''%%'"
                ' AND pid <> pg_backend_pid()' % POLLERS)
    beside = server.run_rate(server.three)
    for connection in pollers:
        connection.cancel()
    for thread in threads:
        thread.join()
    for connection in pollers + listeners:
        connection.close()
    after = server.run_rate(server.three)
    FIGURES['runs'].record(beside, (before + after) / 2)
