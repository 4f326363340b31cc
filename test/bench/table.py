"""The table of figures, for people and as JSON."""

import os
import statistics

SETTINGS = ('server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'wal_compression', 'shared_buffers',
            'max_wal_size', 'expense_flow.queue_size')


def settings(server, repeats):
    values = {name: server.value('SELECT current_setting(%s)', name) for name in SETTINGS}
    values.update({'processors': os.cpu_count(), 'repeats': repeats, 'seconds of each pgbench': server.seconds,
                   'full size': server.long})
    return values


def number(value):
    if value is None:
        return ''
    if abs(value) >= 100:
        return '{:,.0f}'.format(value)
    return '{:.3g}'.format(value)


def spread(values):
    return number(min(values)) + ' - ' + number(max(values)) if len(values) > 1 else ''


def goal(figure):
    words = {'value': '', 'ratio': 'ratio '}
    return ', '.join(words[of] + bound for of, bound in figure.goals)


def verdict(figure):
    return {None: '', True: 'met', False: 'NOT MET'}[figure.is_met()]


def as_cells(figure):
    if not figure.samples:
        return [figure.title, figure.unit, 'failed', '', '', '', '', '', goal(figure), '']
    return [figure.title, figure.unit, number(figure.median('value')), spread(figure.values('value')),
            number(figure.median('baseline')), spread(figure.values('baseline')), number(figure.median('ratio')),
            spread(figure.values('ratio')), goal(figure), verdict(figure)]


def show(values, figures):
    """Markdown, with columns of one width so that it can be read as it is."""
    print(', '.join('%s = %s' % item for item in values.items()))
    print()
    rows = [['figure', 'unit', 'value', 'spread', 'baseline', 'spread', 'ratio', 'spread', 'target', '']]
    rows += [as_cells(figure) for figure in figures]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rows.insert(1, ['-' * width for width in widths])
    for row in rows:
        print('| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths)) + ' |')
    print()
    print('Baselines:')
    for figure in figures:
        if figure.baseline:
            print('- %s: %s' % (figure.title, figure.baseline))


def summary(values):
    return {'median': statistics.median(values), 'samples': values} if values else None


def as_json(values, figures):
    return {
        'settings': values,
        'figures': [{'title': figure.title, 'unit': figure.unit, 'value': summary(figure.values('value')),
                     'baseline': summary(figure.values('baseline')), 'baseline_is': figure.baseline,
                     'ratio': summary(figure.values('ratio')), 'targets': [' '.join(item) for item in figure.goals],
                     'met': figure.is_met()} for figure in figures],
    }
