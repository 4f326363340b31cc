"""Events read through read_changes() in pages of 1,000 by one client."""

from measuring import Figure

REPEATED = True
EVENTS = 200000
FIGURES = {
    'read': Figure('change events read per second, pages of 1,000', '/s', [('value', '>= 200000')],
                   'pages of 1,000 rows of a plain table by its primary key'),
}


def set_up(server):
    server.do('CREATE TABLE bench.fed (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, b text)')
    server.do("SELECT expense_flow.capture_changes('bench.fed', notify => 'none')")
    server.do("INSERT INTO bench.fed (a, b) SELECT 1, 'a row of some width' FROM generate_series(1, %s)", EVENTS)
    server.do("CREATE TABLE bench.plain_event AS SELECT id, 'add' AS type, jsonb_build_object('id', id) AS key, NULL::jsonb AS old,"
              " to_jsonb(f) AS new, clock_timestamp() AS at FROM bench.fed f")
    server.do('ALTER TABLE bench.plain_event ADD PRIMARY KEY (id)')


def read_rate(server, statement, first):
    """All pages are received whole, but only the last row of each is looked at."""
    after = first
    count = 0
    since = server.clock()
    with server.connection.cursor() as cursor:
        while True:
            cursor.execute(statement, (after,))
            if cursor.rowcount == 0:
                break
            count += cursor.rowcount
            cursor.scroll(cursor.rowcount - 1, mode='absolute')
            after = cursor.fetchone()[0]
    if count != EVENTS:
        raise RuntimeError('%d events were read instead of %d' % (count, EVENTS))
    return count / (server.clock() - since).total_seconds()


def measure(server):
    ours = read_rate(server, "SELECT * FROM expense_flow.read_changes('fed', %s, 1000)", None)
    plain = read_rate(server, 'SELECT * FROM bench.plain_event WHERE id > %s ORDER BY id LIMIT 1000', 0)
    FIGURES['read'].record(ours, plain)
