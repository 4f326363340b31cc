/*-------------------------------------------------------------------------
 *
 * workflow.h
 *	  The registry of workflows, and compiled machines.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_WORKFLOW_H
#define EF_WORKFLOW_H

#include "asl/asl.h"

/* A version of a workflow: all of it immutable, cached for the life of the process. */
typedef struct EfWorkflow
{
	int32		version_id;		/* workflow_version.version_id; negative: built in */
	int32		version;		/* 1, 2, … within the name */
	const char *name;
	AslMachine *machine;
	bool		receives;		/* has Tasks that wait for messages, as far as their resources tell */
} EfWorkflow;

/*
 * A version by its id, compiled on first use.  The result stays where it is until the end of the top-level
 * transaction, or as long as it is pinned: a branch that is loaded across transactions pins its workflow
 * and unpins it when it is released (after an error too).  NULL if there is no such version.
 *
 * Needs a transaction with an active snapshot only when the version is not cached yet.
 */
extern const EfWorkflow *ef_workflow_by_version(int32 version_id);
extern void ef_workflow_pin(const EfWorkflow *workflow);
extern void ef_workflow_unpin(const EfWorkflow *workflow);

/*
 * What start_workflow() is to start for a role: the current version of that name (version 0) or a certain
 * one.  Reads the registry afresh.  Raises EF001 when there is none, and insufficient_privilege when its
 * runs have the owner's rights and the starter was not granted them.  *run_owner is the role whose rights
 * the run gets: the starter's, or the workflow's owner's.
 */
extern const EfWorkflow *ef_workflow_to_start(const char *name, int32 version, Oid starter, Oid *run_owner);

extern void ef_workflow_init(void); /* from ef_engine_init(): cache and its callbacks */

#endif							/* EF_WORKFLOW_H */
