/*
 * The expense application: trip_booking, a saga whose steps are done outside.
 *
 * A car, a hotel and a flight are booked one after the other by programs that take
 * the activities from the queue "travel".  What a booking came to may be unknown: the
 * program that made it may have died before it said so.  So what cancels a booking is
 * registered, and committed, before the booking is tried ("Register": "Before"), and
 * each booking has an identifier that is made from the run's and so known by then.
 * Cancelling one that was never made has to do nothing.
 *
 * The cancellations do not depend on each other, so they are done all at once.
 */
SELECT expense_flow.register_built_in_workflow('trip_booking', -5, $asl$
{
  "Comment": "Book a car, a hotel and a flight, or none of them",
  "CompensationOrder": "Parallel",
  "StartAt": "Car",
  "States": {
    "Car": {
      "Type": "Task",
      "Resource": "activity:travel/book_car",
      "Parameters": { "booking_id.$": "States.Format('{}/car', $$.Execution.Id)", "request.$": "$.car" },
      "ResultPath": "$.bookings.car",
      "StartToCloseSeconds": 60,
      "Retry": [ { "ErrorEquals": [ "States.ALL" ], "IntervalSeconds": 1, "BackoffRate": 2, "MaxAttempts": 3 } ],
      "Compensate": {
        "Resource": "activity:travel/cancel_car",
        "Parameters": { "booking_id.$": "States.Format('{}/car', $$.Execution.Id)" },
        "Register": "Before",
        "StartToCloseSeconds": 60,
        "Retry": [ { "ErrorEquals": [ "States.ALL" ], "IntervalSeconds": 1, "BackoffRate": 2, "MaxDelaySeconds": 300, "MaxAttempts": 30 } ]
      },
      "Next": "Hotel"
    },
    "Hotel": {
      "Type": "Task",
      "Resource": "activity:travel/book_hotel",
      "Parameters": { "booking_id.$": "States.Format('{}/hotel', $$.Execution.Id)", "request.$": "$.hotel" },
      "ResultPath": "$.bookings.hotel",
      "StartToCloseSeconds": 60,
      "Retry": [ { "ErrorEquals": [ "States.ALL" ], "IntervalSeconds": 1, "BackoffRate": 2, "MaxAttempts": 3 } ],
      "Compensate": {
        "Resource": "activity:travel/cancel_hotel",
        "Parameters": { "booking_id.$": "States.Format('{}/hotel', $$.Execution.Id)" },
        "Register": "Before",
        "StartToCloseSeconds": 60,
        "Retry": [ { "ErrorEquals": [ "States.ALL" ], "IntervalSeconds": 1, "BackoffRate": 2, "MaxDelaySeconds": 300, "MaxAttempts": 30 } ]
      },
      "Next": "Flight"
    },
    "Flight": {
      "Type": "Task",
      "Resource": "activity:travel/book_flight",
      "Parameters": { "booking_id.$": "States.Format('{}/flight', $$.Execution.Id)", "request.$": "$.flight" },
      "ResultPath": "$.bookings.flight",
      "OutputPath": "$.bookings",
      "StartToCloseSeconds": 60,
      "Retry": [ { "ErrorEquals": [ "States.ALL" ], "IntervalSeconds": 1, "BackoffRate": 2, "MaxAttempts": 3 } ],
      "Compensate": {
        "Resource": "activity:travel/cancel_flight",
        "Parameters": { "booking_id.$": "States.Format('{}/flight', $$.Execution.Id)" },
        "Register": "Before",
        "StartToCloseSeconds": 60,
        "Retry": [ { "ErrorEquals": [ "States.ALL" ], "IntervalSeconds": 1, "BackoffRate": 2, "MaxDelaySeconds": 300, "MaxAttempts": 30 } ]
      },
      "End": true
    }
  }
}
$asl$);
