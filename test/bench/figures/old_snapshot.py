"""Runs, while somebody else holds a REPEATABLE READ transaction open."""

import time

from measuring import Figure

REPEATED = False
FIGURES = {
    'runs': Figure('three-step runs per second, {seconds} s into somebody\'s REPEATABLE READ transaction', '/s', [('ratio', '>= 0.9')],
                   'its first {slice} s'),
}


def measure(server):
    seconds, part = (300, 20) if server.long else (30, 4)
    FIGURES['runs'].title = FIGURES['runs'].title.format(seconds=seconds)
    FIGURES['runs'].baseline = FIGURES['runs'].baseline.format(slice=part)
    server.configure()
    other = server.connect()
    other.set_session(isolation_level='REPEATABLE READ', autocommit=False)
    with other.cursor() as cursor:
        cursor.execute('SELECT count(*) FROM expense_flow.branch')
    began = time.monotonic()
    first = server.run_rate(server.three, 8, part)
    while time.monotonic() - began < seconds:
        last = server.run_rate(server.three, 8, part)
    other.rollback()
    other.close()
    FIGURES['runs'].record(last, first)
