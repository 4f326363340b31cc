/*-------------------------------------------------------------------------
 *
 * expense_flow.h
 *	  Names that the whole module shares.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EXPENSE_FLOW_H
#define EXPENSE_FLOW_H

#define EF_EXTENSION_NAME	"expense_flow"	/* also schema, library and prefix of the settings */

#endif							/* EXPENSE_FLOW_H */
