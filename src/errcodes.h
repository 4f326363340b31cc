/*-------------------------------------------------------------------------
 *
 * errcodes.h
 *	  SQLSTATEs of our own: class EF.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_ERRCODES_H
#define EF_ERRCODES_H

/* Internal: a branch was taken away from the process that advances it (its run was terminated). */
#define EF_ERRCODE_BRANCH_GONE				MAKE_SQLSTATE('E', 'F', '0', '0', '0')

#define EF_ERRCODE_WORKFLOW_NOT_FOUND		MAKE_SQLSTATE('E', 'F', '0', '0', '1')
#define EF_ERRCODE_RUN_NOT_FOUND			MAKE_SQLSTATE('E', 'F', '0', '0', '2')
#define EF_ERRCODE_WORKFLOW_ID_IS_RUNNING	MAKE_SQLSTATE('E', 'F', '0', '0', '3')
#define EF_ERRCODE_WORKFLOW_ID_WAS_USED		MAKE_SQLSTATE('E', 'F', '0', '0', '4')
#define EF_ERRCODE_RUN_FAILED				MAKE_SQLSTATE('E', 'F', '0', '0', '5')
#define EF_ERRCODE_RUN_IS_CLOSED			MAKE_SQLSTATE('E', 'F', '0', '0', '6')
#define EF_ERRCODE_INVALID_DEFINITION		MAKE_SQLSTATE('E', 'F', '0', '0', '7')
#define EF_ERRCODE_CURSOR_TOO_OLD			MAKE_SQLSTATE('E', 'F', '0', '0', '8')
#define EF_ERRCODE_RESULT_NOT_READY			MAKE_SQLSTATE('E', 'F', '0', '0', '9')
#define EF_ERRCODE_REQUEST_DIFFERS			MAKE_SQLSTATE('E', 'F', '0', '1', '0')
#define EF_ERRCODE_TASK_NOT_OPEN				MAKE_SQLSTATE('E', 'F', '0', '1', '1')
#define EF_ERRCODE_UPDATE_NOT_TAKEN			MAKE_SQLSTATE('E', 'F', '0', '1', '2')
#define EF_ERRCODE_UPDATE_NOT_ANSWERED		MAKE_SQLSTATE('E', 'F', '0', '1', '3')
#define EF_ERRCODE_RAISED_BY_FAIL			MAKE_SQLSTATE('E', 'F', '1', '0', '0')

#endif							/* EF_ERRCODES_H */
