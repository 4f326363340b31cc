/*-------------------------------------------------------------------------
 *
 * join.h
 *	  How a Parallel or Map joins its branches, and how these end.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_JOIN_H
#define EF_JOIN_H

#include "engine/engine.h"
#include "engine/state.h"

/* How a branch joins those that it waits for. */
typedef struct EfJoin
{
	int64		window;			/* MaxConcurrency; 0: none */
	int64		count;			/* of the branches, with a window */
	int64		tolerated;		/* failures up to which a Map goes on */
	int64		failed;			/* so far, of those */
	int32		step;			/* of the failure that ends the state; 0: none yet */
	AslError	failure;
} EfJoin;

/* As it is kept in branch.context; NULL: all zero. */
extern void ef_read_join(Jsonb *how, EfJoin *join);
extern Jsonb *ef_make_join(const EfJoin *join);

/*
 * A branch that has a parent has ended, its last step is written: failure is why, NULL if it succeeded.  Wakes the
 * parent when it waits for no more branches, or when the failure ends them all.
 */
extern void ef_end_child(EfBranch *child, const AslError *failure);

/* ---- branches that end in one transaction; see engine.h ---- */

/* What is noted must be stored before the row of a branch is written. */
extern void ef_store_ended_before(const EfBranch *branch);

/* What has been noted goes with the run, which is ended as a whole. */
extern void ef_forget_ended(void);

/* When the transaction began to be shared; 0 if it is not. */
extern TimestampTz ef_shared_since(void);

/* Another branch joins in: from now on the transaction is canceled when it lasts too long. */
extern void ef_limit_sharing(void);

/* May the branch end in the same transaction as those that are noted? */
extern bool ef_is_sibling_of_ended(const EfBranch *branch);

extern void ef_join_init(void);	/* from ef_engine_init() */

#endif							/* EF_JOIN_H */
