/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  Settings of the engine, and its movable clock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_SETTINGS_H
#define EF_SETTINGS_H

extern double ef_transaction_budget;	/* milliseconds */
extern double ef_iteration_budget;	/* milliseconds */
extern char *ef_activity_search_path;
extern int	ef_input_limit;		/* bytes; 0: none */
extern int	ef_data_limit;		/* bytes; 0: none */

/* Put the engine's clock this much ahead of what it is otherwise; returns what it was ahead before. */
extern int64 ef_move_clock(int64 microseconds);

#endif							/* EF_SETTINGS_H */
