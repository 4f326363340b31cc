/*
 * The expense application: its workflows.
 *
 * Registered by the extension, so they are not dumped with a database; users'
 * runs of them are, and find the version again by its negative number.  A
 * definition that has been released is never edited: add a version with the
 * next number below.
 *
 * Their runs have the rights of the role that starts them.
 */

/*
 * spending: two activities and the rules between them.  "Check" reads, "Save"
 * writes everything in one transaction, under a lock on the account, or nothing.
 * Should another run have taken the money in between, "Save" fails and the run
 * goes back to "Check".  Both read the run's input from the context, so that a
 * long list of transactions is not copied from state to state.
 */
SELECT expense_flow.register_built_in_workflow('spending', -1, $asl$
{
  "Comment": "Charge a batch of transactions to an account: all of them, or none",
  "StartAt": "Check",
  "States": {
    "Check": {
      "Comment": "Total what the account does not have yet",
      "Type": "Task",
      "Resource": "sql:expense_flow.check_spending",
      "InputPath": "$$.Execution.Input",
      "Next": "Decide"
    },
    "Decide": {
      "Type": "Choice",
      "Choices": [
        { "Variable": "$.total", "NumericGreaterThanPath": "$.spending_limit", "Next": "Over the limit" },
        { "Variable": "$.total", "NumericGreaterThanPath": "$.balance", "Next": "Insufficient funds" }
      ],
      "Default": "Save"
    },
    "Save": {
      "Comment": "Debit the account and save the transactions",
      "Type": "Task",
      "Resource": "sql:expense_flow.save_spending",
      "InputPath": "$$.Execution.Input",
      "Catch": [ { "ErrorEquals": [ "BalanceChanged" ], "Next": "Check" } ],
      "End": true
    },
    "Over the limit": {
      "Type": "Pass",
      "Parameters": {
        "account_id.$": "$.account_id",
        "accepted": false,
        "message": "Spending limit exceeded",
        "total.$": "$.total",
        "spending_limit.$": "$.spending_limit",
        "saved": 0
      },
      "End": true
    },
    "Insufficient funds": {
      "Type": "Pass",
      "Parameters": {
        "account_id.$": "$.account_id",
        "accepted": false,
        "message": "Insufficient funds",
        "total.$": "$.total",
        "balance.$": "$.balance",
        "saved": 0
      },
      "End": true
    }
  }
}
$asl$);

SELECT expense_flow.register_built_in_workflow('spending_by_category', -2, $asl$
{
  "Comment": "What an account spent in the days before a time, by category",
  "StartAt": "Total",
  "States": {
    "Total": {
      "Type": "Task",
      "Resource": "sql:expense_flow.spending_by_category",
      "End": true
    }
  }
}
$asl$);

/*
 * money_transfer: each step is a transaction of its own, as it has to be where
 * the two accounts are kept in different places.  What a withdrawal took is either
 * deposited or given back, since the refund is its compensation: also when the run
 * is canceled or times out.  What fails for good (a wrong account, no money) is not
 * tried again.
 *
 * A run closes when its compensations are done, so by the time that anybody can read
 * that the money was returned, it was.  After a conflict that is not said: another run
 * with the same transfer_id may have deposited it.
 */
SELECT expense_flow.register_built_in_workflow('money_transfer', -3, $asl$
{
  "Comment": "Move money from one account to another, or leave everything as it was",
  "StartAt": "Has a transfer_id",
  "States": {
    "Has a transfer_id": {
      "Type": "Choice",
      "Choices": [ { "Variable": "$.transfer_id", "IsPresent": true, "Next": "Withdraw" } ],
      "Default": "Use the run's"
    },
    "Use the run's": {
      "Type": "Pass",
      "InputPath": "$$.Execution.Id",
      "ResultPath": "$.transfer_id",
      "Next": "Withdraw"
    },
    "Withdraw": {
      "Type": "Task",
      "Resource": "sql:expense_flow.withdraw",
      "ResultPath": null,
      "Compensate": {
        "Comment": "Refund",
        "Resource": "sql:expense_flow.refund",
        "Parameters": { "transfer_id.$": "$.transfer_id", "to_account.$": "$.to_account" },
        "Retry": [
          { "ErrorEquals": [ "TransferConflict" ], "MaxAttempts": 0 },
          { "ErrorEquals": [ "States.ALL" ], "IntervalSeconds": 1, "BackoffRate": 2, "MaxDelaySeconds": 60, "MaxAttempts": 30 }
        ]
      },
      "Retry": [
        {
          "ErrorEquals": [ "InvalidInput", "InvalidAmount", "InvalidAccount", "InsufficientFunds", "TransferConflict", "insufficient_privilege" ],
          "MaxAttempts": 0
        },
        { "ErrorEquals": [ "States.ALL" ], "IntervalSeconds": 1, "BackoffRate": 2, "MaxAttempts": 3 }
      ],
      "Next": "Deposit"
    },
    "Deposit": {
      "Type": "Task",
      "Resource": "sql:expense_flow.deposit",
      "Parameters": { "transfer_id.$": "$.transfer_id", "to_account.$": "$.to_account" },
      "Retry": [
        { "ErrorEquals": [ "InvalidAccount", "TransferConflict", "insufficient_privilege" ], "MaxAttempts": 0 },
        { "ErrorEquals": [ "States.ALL" ], "IntervalSeconds": 1, "BackoffRate": 2, "MaxAttempts": 3 }
      ],
      "Catch": [
        { "ErrorEquals": [ "TransferConflict" ], "ResultPath": "$.failure", "Next": "Report the conflict" },
        { "ErrorEquals": [ "States.ALL" ], "ResultPath": "$.failure", "Next": "Report the failure" }
      ],
      "End": true
    },
    "Report the failure": {
      "Type": "Fail",
      "ErrorPath": "$.failure.Error",
      "CausePath": "States.Format('{}; the money was returned: {} to account {}', $.failure.Cause, $.amount, $.from_account)"
    },
    "Report the conflict": {
      "Type": "Fail",
      "ErrorPath": "$.failure.Error",
      "CausePath": "$.failure.Cause"
    }
  }
}
$asl$);
